import { connect } from 'node:net';
import { describe, expect, it, jest } from '@jest/globals';
import { eventually, run } from '../../lab';
import { aNode } from '../../support/builders';
import { rows } from '../../support/database';
import { useTestDatabase } from '../../support/hooks';
import { checksums } from '../security/support';
import { startOwner, useOwner } from './support';

jest.setTimeout(30_000);

const PATH = '/api/workers/tunnel';
const HANDSHAKE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': Buffer.alloc(16, 'k').toString('base64'),
};

describe('the entrance for tunnels', () => {
  const database = useTestDatabase();
  const owner = useOwner(database);

  /** Sends a request and never ends its own half: the answer is complete when the server has closed. */
  const ask = (path: string, headers: Record<string, string>): Promise<string> =>
    new Promise((resolve, reject) => {
      let answer = '';
      const socket = connect({ host: '127.0.0.1', port: Number(new URL(owner.url).port), allowHalfOpen: true });
      socket.setTimeout(5_000, () => reject(new Error(`still open after ${JSON.stringify(answer)}`)));
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: orion\r\n${Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('')}\r\n`,
      );
      socket.on('data', (chunk) => (answer += chunk.toString()));
      socket.once('error', reject);
      socket.once('end', () => {
        resolve(answer);
        // By the server alone, though this half is open.
        eventually(() => socket.destroy().destroyed, { what: 'closed' }).catch(reject);
      });
    });

  const expectProblem = (answer: string, status: number, code: string): void => {
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(head).toContain('Content-Type: application/problem+json; charset=utf-8');
    expect(JSON.parse(body)).toMatchObject({ status, code, detail: expect.any(String), request_id: expect.any(String) });
  };
  const bearer = (credential: string): Record<string, string> => ({ ...HANDSHAKE, Authorization: `Bearer ${credential}` });
  const openSockets = (): Promise<number> => new Promise((resolve) => owner.server.getConnections((_error, count) => resolve(count)));

  it('nobody without the credential of a node that is in service', async () => {
    const [retired, quarantined, pending] = [
      await aNode(database.db, { status: 'retired' }),
      await aNode(database.db, { status: 'quarantined' }),
      await aNode(database.db, { status: 'pending' }),
    ];
    const { credential } = await aNode(database.db);
    const before = await checksums(database.db);
    expectProblem(await ask(PATH, HANDSHAKE), 401, 'unauthenticated');
    for (const wrong of [
      bearer(`${credential}x`),
      bearer('x'.repeat(600)),
      bearer("' OR 1=1 --"),
      { ...HANDSHAKE, Authorization: `Basic ${credential}` },
    ]) {
      expectProblem(await ask(PATH, wrong), 401, 'unauthenticated');
    }
    expectProblem(await ask(PATH, bearer(retired.credential)), 410, 'node_retired');
    expectProblem(await ask(PATH, bearer(quarantined.credential)), 403, 'forbidden');
    expectProblem(await ask(PATH, bearer(pending.credential)), 403, 'forbidden');
    expect(await checksums(database.db)).toEqual({ ...before, tunnel_holders: expect.any(String) });
    const refused = await rows<{ data: unknown }>(database.db, "SELECT data FROM events WHERE type = 'access.refused' ORDER BY id");
    const of = (code: string): object => ({ data: { method: 'GET', path: PATH, code, count: 1 } });
    expect(refused).toEqual([of('unauthenticated'), of('forbidden')]);
  });

  it('every other upgrade is refused, and says what to do', async () => {
    const { credential } = await aNode(database.db);
    for (const path of ['/', '/api/nodes', `${PATH}/`, `${PATH}?x`, '/api/workers/../workers/tunnel', '//api/workers/tunnel']) {
      expectProblem(await ask(path, bearer(credential)), 400, 'invalid_request');
    }
    expectProblem(await ask(PATH, { ...bearer(credential), Upgrade: 'h2c' }), 400, 'invalid_request');
    expect(await ask(PATH, { ...bearer(credential), 'Sec-WebSocket-Key': 'none' })).toMatch(/^HTTP\/1\.1 400 /);
    expect(await ask(PATH, { ...bearer(credential), 'Sec-WebSocket-Version': '99' })).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(owner.hub.list().length).toBe(0);
  });

  it('curl --http2, which asks for h2c, gets an answer that names its way out', async () => {
    const { code, stdout } = await run('curl', ['-sS', '--http2', '-m', '5', `${owner.url}/api/nodes`], {});
    expect([code, stdout]).toEqual([0, expect.stringContaining('curl: --http1.1')]);
  });

  it('a replica that is about to go sends everybody elsewhere', async () => {
    const { credential } = await aNode(database.db);
    const going = await startOwner(database.db);
    going.stopping.abort();
    const { stdout } = await run(
      'curl',
      [
        '-sS',
        '-i',
        '-m',
        '5',
        '--http1.1',
        ...Object.entries(bearer(credential)).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
        `${going.url}${PATH}`,
      ],
      {},
    );
    expectProblem(stdout, 503, 'unavailable');
    expect(stdout).toContain('Retry-After: ');
    await going.close();
  });

  it('whoever is refused and keeps his own half of the connection open holds nothing here', async () => {
    const port = Number(new URL(owner.url).port);
    const sockets = Array.from({ length: 50 }, () => connect({ host: '127.0.0.1', port, allowHalfOpen: true }));
    for (const socket of sockets) {
      socket.on('error', () => undefined);
      socket.write(`GET /x HTTP/1.1\r\nHost: orion\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`);
    }
    await eventually(async () => sockets.every(({ readyState }) => readyState !== 'opening') && (await openSockets()) === 0, {
      what: 'no connection is left',
    });
    sockets.forEach((socket) => socket.destroy());
  });
});
