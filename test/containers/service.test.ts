import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { join } from 'node:path';
import type { Lease, Page } from '../../src/contract';
import { type Client, createClient, expectStatus } from '../../scripts/demo/api';
import {
  type Container,
  eventually,
  openDocker,
  projectDir,
  run,
  runOrThrow,
  type RunResult,
  type Stack,
  startStack,
  testConstants,
} from '../lab';
import { useLab } from '../support/hooks';
import { type Load, type LoadRequest, startLoad } from './support/load';
import { countServed, listRunning, logInAsOperator, openClient, rent, signUp, untilFree, type User } from './support/people';

const WORKERS = 3;
const SETTINGS = {
  ORION_PROBE_INTERVAL_SECONDS: '2',
  ...testConstants({ suspectIntervalSeconds: 0.5, expireIntervalSeconds: 0.5, workIntervalSeconds: 0.5, minLeaseSeconds: 1 }),
  ORION_SCALE_DRY_RUN: 'true',
};

const lab = useLab();
let stack: Stack;
let operator: Client;
let ada: User;
let adas: Lease;

beforeAll(async () => {
  stack = await startStack(lab, { engine: await openDocker(lab), settings: SETTINGS, scale: { api: 3 } });
  operator = await logInAsOperator(stack);
  await stack.workers(String(WORKERS));
  ada = await signUp(lab, stack, 'ada');
  await untilFree(operator, WORKERS);
  adas = await rent(ada, randomUUID());
}, 600_000);

const loads: Load[] = [];
/** However a test ends, its load does. */
afterEach(() => Promise.all(loads.splice(0).map((each) => each.stop())), 60_000);

function load(requests: LoadRequest[], more: { width: number; persistent?: boolean }): Load {
  const started = startLoad({ url: stack.httpsUrl, ca: readFileSync(stack.caFile, 'utf8'), requests, ...more });
  loads.push(started);
  return started;
}

const running = async (service: string): Promise<Container[]> => (await stack.containers(service)).filter((container) => container.running);
const idsOf = (containers: Container[]): string[] => containers.map(({ id }) => id).toSorted();

/** Ends it as a crash does: told by `docker kill`, the engine would take it for an order and not start it again. */
function crash(container: Container | undefined): void {
  process.kill(container?.pid ?? NaN, 'SIGKILL');
}

const isReady = async (api: Container | undefined): Promise<boolean> =>
  (await fetch(`http://${api?.address ?? ''}:3000/readyz`, { signal: AbortSignal.timeout(5_000) })).status === 200;

/** 300 requests of ten clients, and how many of them each replica has served. */
async function serve300(): Promise<number[]> {
  const apis = await running('api');
  const before = await Promise.all(apis.map((api) => countServed(api, '/api/me')));
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (let i = 0; i < 30; i += 1) {
        expectStatus(await ada.client.get('/api/me'), 200);
      }
    }),
  );
  return Promise.all(apis.map(async (api, i) => (await countServed(api, '/api/me')) - (before[i] ?? 0)));
}

/** Ada watches the fleet. Resolves once the stream is open. */
function watch(): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { ca: readFileSync(stack.caFile, 'utf8'), agent: false, headers: { Authorization: `Bearer ${ada.token}` } };
    get(`${stack.httpsUrl}/api/nodes/stream`, options, (response) => resolve(response.on('error', () => undefined).resume())).on(
      'error',
      reject,
    );
  });
}

/** Ada's lease as she rented it: same end, same account, never moved. */
async function expectUntouched(): Promise<void> {
  const now = expectStatus(await ada.client.get<Lease>(`/api/leases/${adas.id}`), 200);
  expect(now).toMatchObject({ state: 'active', ends_at: adas.ends_at, generation: 1, node: { id: adas.node?.id } });
}

describe('the proxy in front', () => {
  it('R30: shares 300 requests among three replicas', async () => {
    const served = await serve300();
    expect(served).toHaveLength(3);
    expect(served.reduce((sum, count) => sum + count, 0)).toBe(300);
    expect(Math.min(...served)).toBeGreaterThanOrEqual(60);
  }, 60_000);

  it('R30: shares them with a replica that has just come as well: it gets no more because it holds no streams yet', async () => {
    const watchers = await Promise.all(Array.from({ length: 18 }, watch));
    try {
      const [victim] = await running('api');
      crash(victim);
      await eventually(async () => (await Promise.all((await running('api')).map(isReady))).filter(Boolean).length === 3, {
        what: 'it is back',
        timeoutMs: 60_000,
      });
      await eventually(async () => Math.min(...(await serve300())) > 0, { what: 'the proxy has found it', timeoutMs: 60_000 });
      expect(Math.max(...(await serve300()))).toBeLessThanOrEqual(180);
    } finally {
      watchers.forEach((watcher) => watcher.destroy());
    }
  }, 150_000);

  it('R30: takes agents on both ports, and leads people from http to https before they say anything', async () => {
    const plain = createClient(stack.httpUrl);
    expect((await openClient(stack).post('/api/workers/heartbeat', {})).status).toBe(401);
    expect((await plain.post('/api/workers/heartbeat', {})).status).toBe(401);
    const led = await plain.post('/api/login', { username: 'ada', password: 'wrong' });
    expect([led.status, led.header('location')]).toEqual([308, `${stack.httpsUrl}/api/login`]);
  });

  it('R30: compresses what is worth it, and asks browsers to keep to https', async () => {
    const headers = await new Promise<IncomingHttpHeaders>((resolve, reject) => {
      const options = { ca: readFileSync(stack.caFile, 'utf8'), agent: false, headers: { 'Accept-Encoding': 'gzip' } };
      get(`${stack.httpsUrl}/api/openapi.json`, options, (response) => resolve(response.resume().headers)).on('error', reject);
    });
    expect(headers['content-encoding']).toBe('gzip');
    expect(headers['strict-transport-security']).toContain('max-age');
  });

  it('R44: a token that was sent over http reaches no replica', async () => {
    const apis = await running('api');
    const before = await Promise.all(apis.map((api) => countServed(api, '/api/leases')));
    expect((await createClient(stack.httpUrl, { token: ada.token }).get('/api/leases')).status).toBe(308);
    expect(await Promise.all(apis.map((api) => countServed(api, '/api/leases')))).toEqual(before);
  });
});

describe('a machine beside the control plane', () => {
  it('R44: does not see the database, though it runs there', async () => {
    const [db] = await running('db');
    const knock = await stack.look(
      'worker-1',
      `timeout 5 getent hosts db; timeout 3 bash -c 'echo >/dev/tcp/${db?.address ?? ''}/3306' 2>&1; echo "ended with $?"`,
    );
    expect(knock.stdout).toMatch(/ended with (1|124)\n$/);
    expect(knock.stdout).not.toContain(db?.address ?? 'an address');
    const proxy = await stack.look('worker-1', 'timeout 3 bash -c \'echo >/dev/tcp/caddy/80\'; echo "ended with $?"');
    expect(proxy.stdout).toBe('ended with 0\n');
  }, 90_000);
});

describe('a newcomer', () => {
  const tryOut = (args: string[], input = ''): Promise<RunResult> =>
    run(join(projectDir, 'scripts', 'try.sh'), args, { env: stack.env, input, timeoutMs: 120_000 });

  it('R32: gets to a shell on a leased worker by one command after the two that bring everything up', async () => {
    const shell = await tryOut([], 'id -un; hostname\n');
    expect(shell.stderr).not.toContain('error');
    expect(shell.stdout).toMatch(/orn-[a-z0-9]+\nworker-\d\n/);
    expect(shell.code).toBe(0);
  }, 150_000);

  it('R32: keeps the account, and gives the machine back', async () => {
    const { items } = JSON.parse((await tryOut(['--json', 'leases'])).stdout) as Page<Lease>;
    expect(items).toHaveLength(1);
    expect(await tryOut(['release', String(items[0]?.id)])).toMatchObject({ code: 0 });
    await untilFree(operator, WORKERS - 1);
  }, 150_000);
});

describe('losing parts of the control plane', () => {
  it('R36: a rolling update under load fails no request, loses no lease and moves nobody', async () => {
    const before = { api: idsOf(await running('api')), scheduler: idsOf(await running('scheduler')) };
    const steady = load(
      [
        { method: 'GET', path: '/api/me', token: ada.token },
        { method: 'GET', path: `/api/leases/${adas.id}`, token: ada.token },
      ],
      { width: 6 },
    );
    await eventually(() => steady.done() > 100, { what: 'the load runs' });
    const told = await runOrThrow(join(projectDir, 'scripts', 'rolling-update.sh'), ['--force'], { env: stack.env, timeoutMs: 300_000 });
    expect(told).not.toContain('ended with');
    const report = await steady.stop();
    expect(report.failures).toEqual([]);
    expect(report.requests).toBeGreaterThan(500);
    for (const service of ['api', 'scheduler'] as const) {
      const after = idsOf(await running(service));
      expect(after).toHaveLength(before[service].length);
      expect(after.filter((id) => before[service].includes(id))).toEqual([]);
    }
    await expectUntouched();
  }, 400_000);

  it('R16: a replica killed under load costs persistent clients nothing, and doubles no lease', async () => {
    const bob = await signUp(lab, stack, 'bob');
    const body = { duration_minutes: 60, ssh_public_key: bob.key.publicKey };
    const busy = load(
      [
        { method: 'GET', path: '/api/me', token: bob.token },
        { method: 'POST', path: '/api/rent', token: bob.token, body, fine: [503] },
      ],
      { width: 6, persistent: true },
    );
    await eventually(() => busy.done() > 50, { what: 'the load runs', timeoutMs: 60_000 });
    const [victim] = await running('api');
    crash(victim);
    const doneThen = busy.done();
    await eventually(() => busy.done() > doneThen + 100, { what: 'the load goes on', timeoutMs: 60_000 });
    expect((await busy.stop()).failures).toEqual([]);
    const leases = await listRunning(bob);
    expect(leases).toHaveLength(WORKERS - 1);
    expect(new Set([...leases, adas].map(({ node }) => node?.id)).size).toBe(WORKERS);
    await expectUntouched();
    await eventually(async () => (await running('api')).length === 3, { what: 'the engine has started it again', timeoutMs: 60_000 });
  }, 200_000);

  it('I3, I8: MariaDB restarted under load: readiness goes off and comes back, leases stay, nobody moves', async () => {
    // One that the engine has just started again may meet the end of the database before it serves, and ends.
    await eventually(async () => (await Promise.all((await running('api')).map(isReady))).every(Boolean), {
      what: 'all APIs serve',
      timeoutMs: 60_000,
    });
    const [api] = await running('api');
    const steady = load([{ method: 'GET', path: '/api/me', token: ada.token }], { width: 4, persistent: true });
    // Outright, and down until somebody has seen it: the engine would have it back within a second or two.
    await stack.compose('kill', 'db');
    await eventually(async () => !(await isReady(api)), { what: 'readiness goes off', timeoutMs: 30_000 });
    await stack.compose('start', 'db');
    await eventually(() => isReady(api), { what: 'readiness comes back', timeoutMs: 90_000 });
    expect((await steady.stop()).failures).toEqual([]);
    // Three rounds of probes later nobody has been moved either.
    const probes = Number(SETTINGS.ORION_PROBE_INTERVAL_SECONDS) * 3_000;
    const since = performance.now();
    await eventually(() => performance.now() - since > probes, { what: 'the schedulers have looked again', timeoutMs: probes + 5_000 });
    await expectUntouched();
  }, 200_000);
});

describe('a backup', () => {
  const script = (name: string, ...args: string[]): Promise<RunResult> =>
    run(join(projectDir, 'scripts', name), ['--docker', ...args], { env: stack.env, timeoutMs: 120_000 });

  it('R33: is taken from the running stack and put back: the lease goes on', async () => {
    const file = join(lab.dir, 'backup.sql.gz');
    expect(await script('backup.sh', file)).toMatchObject({ code: 0 });
    const refused = await script('restore.sh', '--force', file);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('stop every API');
    await stack.compose('stop', 'caddy', 'api', 'scheduler', 'autoscaler');
    expect((await script('restore.sh', file)).stderr).toContain('not empty');
    expect(await script('restore.sh', '--force', file)).toMatchObject({ code: 0 });
    await stack.compose('start', 'api', 'scheduler', 'autoscaler', 'caddy');
    const goesOn = async (): Promise<boolean> => {
      const { state, ends_at: endsAt, access } = expectStatus(await ada.client.get<Lease>(`/api/leases/${adas.id}`), 200);
      return state === 'active' && endsAt === adas.ends_at && access?.username === adas.access?.username;
    };
    await eventually(goesOn, { what: 'the lease goes on', timeoutMs: 120_000, everyMs: 500 });
  }, 400_000);
});
