import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createScaleDriverApp } from '../../../src/http/scale-driver/app';
import { listen } from '../../../src/http/server';
import { systemClock } from '../../../src/lib/clock';
import { OrionError } from '../../../src/lib/errors';
import { createLogger, type LogFields } from '../../../src/lib/logger';
import { createReadiness } from '../../../src/lib/readiness';
import { createRemoteDriver, type RemoteDriver, type ScaleDriver, type ServiceState } from '../../../src/modules/scaling';
import { reasonOf } from '../../../src/modules/scaling/docker';

const STATE: ServiceState = {
  actual: 3,
  obstacle: 'draining',
  replicas: [
    { containerId: 'a1', name: 'shop_api_1', cores: 0.5, cpu: { usedMs: 1234.5, atMs: 1_700_000_000_123 } },
    { containerId: 'b2', name: 'shop_api_2', cores: 1, cpu: null },
  ],
};
const LIMITS = { ready: 300, call: 300, replica: 0 };
const never = <T>(): Promise<T> => new Promise(() => undefined);

const closings: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) {
    await close();
  }
});

interface Setup {
  url: string;
  client: RemoteDriver;
  /** Calls that reached the driver. */
  calls: unknown[][];
  lines: LogFields[];
  send: (method: string, path: string, body?: string, type?: string) => Promise<Answer>;
}

interface Answer {
  status: number;
  body: Record<string, unknown>;
  text: string;
}

interface Options {
  driver?: Partial<ScaleDriver>;
  /** Why the scale driver is not ready; null: it is. */
  unready?: string | null;
  ping?: () => Promise<void>;
}

/** The API over a real server, and a driver that is a plain object. */
async function setup({ driver = {}, unready = null, ping = () => Promise.resolve() }: Options = {}): Promise<Setup> {
  const calls: unknown[][] = [];
  const lines: LogFields[] = [];
  const readiness = createReadiness();
  readiness.set(unready);
  const plain: ScaleDriver = {
    inspect: (service) => (calls.push(['inspect', service]), driver.inspect?.(service) ?? Promise.resolve(STATE)),
    scale: (service, step) => (calls.push(['scale', service, step]), driver.scale?.(service, step) ?? Promise.resolve()),
    tidy: (service) => (calls.push(['tidy', service]), driver.tidy?.(service) ?? Promise.resolve(['shop_api_4'])),
  };
  const app = createScaleDriverApp({
    driver: () => (unready === null ? plain : undefined),
    ping,
    reasonOf,
    readiness,
    bounds: { api: { min: 2, max: 4 }, scheduler: { min: 1, max: 2 } },
    logger: createLogger('info', (level, message, fields) => void lines.push({ level, message, ...fields })),
  });
  const listening = await listen(app, { host: '127.0.0.1', port: 0, setting: 'ORION_HTTP_PORT', clock: systemClock });
  closings.push(() => listening.close({ limitMs: 0 }));
  const url = `http://127.0.0.1:${listening.port}`;
  const send: Setup['send'] = async (method, path, ...[body, type = 'application/json']) => {
    const response = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body, headers: { 'Content-Type': type } }) });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>, text };
  };
  return { url, client: createRemoteDriver(url, LIMITS), calls, lines, send };
}

/** A server that gives this answer to everything. */
async function startAnswering(status: number, text: string): Promise<RemoteDriver> {
  const server: Server = createServer((_req, res) => res.writeHead(status, { 'Content-Type': 'application/json' }).end(text));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closings.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return createRemoteDriver(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, LIMITS);
}

describe('R31: the scale driver, through its client', () => {
  it('gives the state of a service, changes it, and tidies', async () => {
    const { client, calls } = await setup();
    expect(await client.inspect('api')).toEqual(STATE);
    await client.scale('api', { from: 3, to: 4 });
    expect(await client.tidy('scheduler')).toEqual(['shop_api_4']);
    expect(calls).toEqual([
      ['inspect', 'api'],
      ['scale', 'api', { from: 3, to: 4 }],
      ['tidy', 'scheduler'],
    ]);
  });

  it('is ready when the engine answers and the project is known, and reports why not', async () => {
    expect(await (await setup()).client.whyNotReady()).toBeNull();
    const unready = await setup({ unready: 'set ORION_SCALE_PROJECT' });
    expect(await unready.client.whyNotReady()).toBe('the scale driver is not ready: set ORION_SCALE_PROJECT');
    const refused = Object.assign(new Error('connect ENOENT /docker.sock'), { code: 'ENOENT' });
    const { client, send } = await setup({ ping: () => Promise.reject(refused) });
    expect(await client.whyNotReady()).toBe('the scale driver is not ready: Docker does not answer: the connection failed with ENOENT');
    expect((await send('GET', '/livez')).status).toBe(200);
  });

  it('does nothing before it is ready', async () => {
    const { client, calls } = await setup({ unready: 'set ORION_SCALE_PROJECT' });
    await expect(client.inspect('api')).rejects.toThrow('refused with status 503: The scale driver is not ready: set ORION_SCALE_PROJECT.');
    expect(calls).toEqual([]);
  });

  it('reports a service that has changed as such', async () => {
    const changed = new OrionError('state_conflict', 'api has changed: 2 replicas, starting');
    const { client } = await setup({ driver: { scale: () => Promise.reject(changed) } });
    await expect(client.scale('api', { from: 3, to: 4 })).rejects.toThrow('refused with status 409: api has changed: 2 replicas, starting');
  });

  it('a driver that never answers fails the call at its deadline', async () => {
    const { client } = await setup({ driver: { inspect: never, scale: never, tidy: never } });
    const slow = 'the scale driver does not answer: no answer within 300 ms';
    await expect(client.inspect('api')).rejects.toThrow(slow);
    await expect(client.tidy('api')).rejects.toThrow(slow);
    await expect(client.scale('api', { from: 3, to: 4 })).rejects.toThrow(slow);
  });

  it('a driver that is not there is a reason and a failed call', async () => {
    const client = createRemoteDriver('http://127.0.0.1:1', LIMITS);
    expect(await client.whyNotReady()).toContain('the scale driver does not answer: ');
    await expect(client.inspect('api')).rejects.toThrow('the scale driver does not answer: ');
  });

  it.each([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['another type', '[]'],
    ['no number', '{"actual":"3","obstacle":null,"replicas":[]}'],
    ['an unknown obstacle', '{"actual":3,"obstacle":"tired","replicas":[]}'],
    ['a replica without a reading', '{"actual":1,"obstacle":null,"replicas":[{"container_id":"a","name":"a","cores":1}]}'],
    ['no cores', '{"actual":1,"obstacle":null,"replicas":[{"container_id":"a","name":"a","cores":0,"cpu":null}]}'],
  ])('an answer that is junk is refused: %s', async (_what, text) => {
    const client = await startAnswering(200, text);
    await expect(client.inspect('api')).rejects.toThrow('the answer of the scale driver is not as agreed');
    await expect(client.tidy('api')).rejects.toThrow('the answer of the scale driver is not as agreed');
  });

  it('an error that is junk is an error, and a redirection is not followed', async () => {
    await expect((await startAnswering(500, '<html>')).inspect('api')).rejects.toThrow('refused with status 500: no reason given');
    await expect((await startAnswering(307, '{}')).scale('api', { from: 3, to: 4 })).rejects.toThrow();
  });
});

describe('A9: an attacker in the autoscaler', () => {
  it.each([
    '/services/db',
    '/services/API',
    '/services/api/',
    '/services/__proto__',
    '/services/api%2f..%2fdb',
    '/containers/json',
    '/metrics',
  ])('reaches no other service and nothing of Docker: %s', async (path) => {
    const { send, calls } = await setup();
    for (const [method, to] of [
      ['GET', path],
      ['POST', `${path}/scale`],
      ['POST', `${path}/tidy`],
    ] as const) {
      const { status, body } = await send(method, to, method === 'POST' ? '{"from":2,"to":3}' : undefined);
      expect([to, status, body['code']]).toEqual([to, 404, 'not_found']);
    }
    expect(calls).toEqual([]);
  });

  it.each([
    ['to the same number', 'api', 3, 3],
    ['two less', 'api', 4, 2],
    ['below the minimum', 'api', 2, 1],
    ['to nothing', 'scheduler', 1, 0],
    ['above the maximum', 'api', 4, 5],
    ['above the maximum of another', 'scheduler', 2, 3],
    ['more than twice as many', 'api', 1, 4],
    ['from nothing', 'api', 0, 1],
  ])('takes no step: %s', async (...[, service, from, to]) => {
    const { send, calls } = await setup();
    const { status, body } = await send('POST', `/services/${service}/scale`, JSON.stringify({ from, to }));
    expect([status, body['code'], calls]).toEqual([422, 'step_refused', []]);
    expect(body['detail']).toMatch(/replica/);
  });

  it.each([
    ['not there', undefined, 400],
    ['no JSON', '{', 400],
    ['a list', '[2,3]', 400],
    ['a text in place of a number', '{"from":"2","to":3}', 400],
    ['a fraction', '{"from":2,"to":2.5}', 400],
    ['one number', '{"from":2}', 400],
    ['a negative number', '{"from":0,"to":-1}', 400],
    ['more than a step', '{"from":2,"to":3,"image":"mine"}', 400],
    ['larger than 1 KiB', JSON.stringify({ from: 2, to: 3, more: 'x'.repeat(1100) }), 413],
  ])('a body is refused that is %s', async (...[, text, expected]) => {
    const { send, calls } = await setup();
    const { status, body } = await send('POST', '/services/api/scale', text);
    expect([status, calls]).toEqual([expected, []]);
    expect(body).toMatchObject({ status: expected, detail: expect.any(String) });
  });

  it('a body of another type is refused', async () => {
    const { send, calls } = await setup();
    expect((await send('POST', '/services/api/scale', 'from=2&to=3', 'application/x-www-form-urlencoded')).status).toBe(415);
    expect(calls).toEqual([]);
  });

  it('cannot pass the maximum by two steps at once', async () => {
    let finish = (): void => undefined;
    const { send, calls } = await setup({ driver: { scale: () => new Promise((resolve) => (finish = resolve)) } });
    const first = send('POST', '/services/api/scale', '{"from":2,"to":4}');
    while (calls.length === 0) {
      await systemClock.sleep(5);
    }
    expect(await send('POST', '/services/api/scale', '{"from":2,"to":4}')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
    expect(calls).toHaveLength(1);
    finish();
    expect((await first).status).toBe(204);
    const next = send('POST', '/services/api/scale', '{"from":4,"to":3}');
    while (calls.length === 1) {
      await systemClock.sleep(5);
    }
    finish();
    expect((await next).status).toBe(204);
  });

  it('reads nothing of what Docker answered but the status', async () => {
    const refusal = Object.assign(new Error('(HTTP code 500) server error - /var/lib/docker/overlay2/hush'), { statusCode: 500 });
    const failing = { inspect: () => Promise.reject(refusal), tidy: () => Promise.reject(new Error('hush')) };
    const { send, lines } = await setup({ driver: failing });
    const answer = await send('GET', '/services/api');
    expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(answer.body['detail']).toBe('Docker did not do it: it refused with status 500.');
    const other = await send('POST', '/services/api/tidy');
    expect(other).toMatchObject({ status: 503, body: { detail: 'Docker did not do it: its answer is not as expected.' } });
    expect(answer.text + other.text).not.toContain('hush');
    expect(lines.map(({ level, message }) => [level, message])).toEqual([
      ['error', 'request failed'],
      ['error', 'request failed'],
    ]);
    expect(JSON.stringify(lines)).toContain('hush');
  });
});
