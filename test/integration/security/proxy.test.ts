import { readFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { Agent, request, type RequestOptions } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Caddy, eventually, startProjectCaddy } from '../../lab';
import type { TestApi } from '../../support/api';
import { useLab, useTestApi, useTestDatabase } from '../../support/hooks';

/** A real Caddy with the project's Caddyfile before two APIs. */
const lab = useLab();
const database = useTestDatabase();
const apis: [TestApi, TestApi] = [useTestApi(database), useTestApi(database)];
let caddy: Caddy;
let agent: Agent;
beforeAll(async () => {
  apis.forEach((api) => api.readiness.set(null));
  caddy = await startProjectCaddy(lab, apis);
  agent = new Agent({ ca: readFileSync(caddy.caFile) });
  await eventually(async () => (await send({ method: 'GET', path: '/api/docs' })) === 200, {
    what: 'Caddy finds the APIs',
    timeoutMs: 20_000,
  });
}, 90_000);
afterAll(() => agent.destroy());

const JSON_TYPE = { 'content-type': 'application/json' };

/** The status, or how the connection ended. `unfinished`: the rest of the body never comes. */
function send({
  body,
  unfinished = false,
  ...options
}: RequestOptions & { body?: string; unfinished?: boolean }): Promise<number | string> {
  return new Promise((resolve) => {
    const asked = request({ agent, host: 'localhost', port: caddy.httpsPort, ...options }, (res) => {
      res.resume();
      res.once('close', () => resolve(res.statusCode ?? 0));
    });
    asked.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    if (body !== undefined) {
      asked.write(body);
    }
    if (unfinished) {
      asked.flushHeaders();
    } else {
      asked.end();
    }
  });
}

function sendByHttp2(session: ClientHttp2Session, path: string): Promise<number | string> {
  return new Promise((resolve) => {
    const stream = session.request({ ':method': 'POST', ':path': path, ...JSON_TYPE });
    stream.once('response', (headers) => resolve(headers[':status'] ?? 0));
    stream.once('error', (error: Error) => resolve(error.message));
    stream.write('{"username"');
  });
}

describe('a body that does not come', () => {
  it('ends with an error, and never with `200 OK`', async () => {
    const session = connectHttp2(caddy.httpsUrl, { ca: readFileSync(caddy.caFile) });
    const slow = { method: 'POST', path: '/api/login', body: '{"username"', unfinished: true };
    const answers = await Promise.all([
      send({ ...slow, headers: { ...JSON_TYPE, 'content-length': '100' } }),
      send({ ...slow, headers: { ...JSON_TYPE, 'content-length': '60000' } }),
      send({ ...slow, headers: JSON_TYPE }),
      sendByHttp2(session, '/api/login'),
      sendByHttp2(session, '/api/workers/heartbeat'),
    ]);
    session.destroy();
    // Caddy reads a small body first and ends it itself; the others are ended by the API.
    expect(answers).toEqual([502, 408, 408, 408, 408]);
  }, 60_000);
});

describe('a body that is too large', () => {
  it('goes to no replica when it says so itself, and is refused when it does not', async () => {
    const large = { method: 'POST', path: '/api/login', body: 'x'.repeat(200_000) };
    expect(await send({ ...large, headers: { ...JSON_TYPE, 'content-length': '200000' } })).toBe(413);
    expect(await send({ ...large, headers: JSON_TYPE })).toBe(413);
  });
});

describe('the port for agents', () => {
  it('answers their calls and nothing else', async () => {
    const at = async (path: string, method = 'POST'): Promise<number> =>
      (await fetch(`${apis[0].agentsUrl}${path}`, { method, headers: JSON_TYPE, body: method === 'GET' ? null : '{}' })).status;
    expect(
      await Promise.all(['/api/workers/heartbeat', '/api/workers/leave', '/api/register', '/api/workers/register'].map((path) => at(path))),
    ).toEqual([401, 401, 400, 400]);
    expect(await at('/readyz', 'GET')).toBe(200);
    expect(await Promise.all(['/api/login', '/api/rent', '/api/signup'].map((path) => at(path)))).toEqual([404, 404, 404]);
    expect(await Promise.all(['/api/nodes', '/api/docs', '/metrics', '/livez'].map((path) => at(path, 'GET')))).toEqual([
      404, 404, 404, 404,
    ]);
  });
});

describe('a replica that is gone', () => {
  it('R36: loses no request, not even one with a body that was meant for it', async () => {
    await apis[0].close();
    const body = JSON.stringify({ username: 'nobody', password: 'a wrong password' });
    const calls = Array.from({ length: 12 }, () => [
      send({ method: 'POST', path: '/api/login', body, headers: { ...JSON_TYPE, 'content-length': String(body.length) } }),
      send({ method: 'POST', path: '/api/workers/heartbeat', body: '{}', headers: { ...JSON_TYPE, 'content-length': '2' } }),
      send({ method: 'GET', path: '/api/me' }),
    ]);
    expect(new Set(await Promise.all(calls.flat()))).toEqual(new Set([401]));
  }, 30_000);
});
