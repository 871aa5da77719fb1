import { Agent, get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import express from 'express';
import { systemClock } from '../../../src/lib/clock';
import { listen, type Listening } from '../../../src/http/server';
import { aUser } from '../../support/builders';
import { useTestApi, useTestDatabase } from '../../support/hooks';

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
afterAll(() => agent.destroy());

/** Over the one kept connection, unless another agent is given. */
function ask(url: string, options: { agent?: Agent | false; headers?: Record<string, string> } = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => void get(url, { agent, ...options }, resolve).on('error', reject));
}

describe('a server that closes', () => {
  let listening: Listening;
  let url: string;
  let answerSlow: () => void;
  beforeEach(async () => {
    const slow = new Promise<void>((resolve) => (answerSlow = resolve));
    const app = express().get('/slow', async (_req, res) => {
      await slow;
      res.end('at last');
    });
    app.get('/', (_req, res) => void res.end('hello'));
    listening = await listen(app, { host: '127.0.0.1', port: 0, setting: 'none', clock: systemClock });
    url = `http://127.0.0.1:${listening.port}`;
  });
  afterEach(() => listening.close({ limitMs: 0 }));

  it('R36: takes nobody new, but answers who has a connection already', async () => {
    await text(await ask(url));
    const closed = listening.close({ limitMs: 60_000, keepIdleMs: 60_000 });
    await expect(ask(url, { agent: false })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(text(await ask(url))).resolves.toBe('hello');
    agent.destroy();
    await closed;
  });

  it('R36: waits for what is in flight, and closes idle connections after their time', async () => {
    const other = new Agent({ keepAlive: true });
    await text(await ask(url, { agent: other }));
    const slow = ask(`${url}/slow`);
    await text(await ask(url, { agent: other }));
    const closed = listening.close({ limitMs: 60_000, keepIdleMs: 100 });
    answerSlow();
    await expect(text(await slow)).resolves.toBe('at last');
    await closed;
    other.destroy();
  });

  it('R36: cuts what outlasts the limit', async () => {
    const slow = ask(`${url}/slow`);
    await text(await ask(url, { agent: false }));
    await listening.close({ limitMs: 50 });
    await expect(slow).rejects.toMatchObject({ code: 'ECONNRESET' });
    answerSlow();
  });
});

describe('a replica that stops', () => {
  const database = useTestDatabase();
  const api = useTestApi(database);

  it('R36: says goodbye on each connection, is not ready, and ends what would last for ever', async () => {
    const headers = { Authorization: `Bearer ${api.tokenOf(await aUser(database.db))}` };
    const stream = await ask(`${api.url}/api/nodes/stream`, { agent: false, headers });
    const streamed = text(stream);
    const before = await ask(`${api.url}/readyz`);
    await text(before);
    api.readiness.stop();
    const after = await ask(`${api.url}/readyz`);
    await text(after);
    expect([before.headers.connection, after.headers.connection]).toEqual(['keep-alive', 'close']);
    expect((await ask(`${api.url}/readyz`, { agent: false })).statusCode).toBe(503);
    await expect(streamed).resolves.toContain('event: snapshot');
  });
});
