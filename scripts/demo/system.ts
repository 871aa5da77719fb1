import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Caddy, freePort, generateSshKeyPair, type Lab, type MariaDb, type OrionProcess, projectDir, runOrThrow, startCaddy, startOrion,
} from '../../test/lab';

type Env = Record<string, string>;

/** The control plane: processes of the built program, and a private MariaDB and Caddy. */
export interface ControlPlane {
  apis: OrionProcess[];
  schedulers: OrionProcess[];
  /** Starts an API replica at one of the places that Caddy knows. */
  startApi(place: number): Promise<OrionProcess>;
  startScheduler(): Promise<OrionProcess>;
  /** Runs `orion …` to its end and returns what it printed. */
  orion(args: string[], input?: string): Promise<string>;
  /** Ends all roles at once. */
  stop(): Promise<void>;
}

/** Rhythms for a short show. The defaults stand beside them. */
export const FASTER: Env = {
  ORION_PROBE_INTERVAL_SECONDS: '2', // 30
  ORION_SUSPECT_INTERVAL_SECONDS: '0.5', // 5
  ORION_PROBE_TIMEOUT_SECONDS: '3', // 5
  ORION_HEARTBEAT_INTERVAL_SECONDS: '2', // 10
  ORION_HEARTBEAT_OVERDUE_SECONDS: '8', // 25
  ORION_MIGRATE_INTERVAL_SECONDS: '1', // 10
  ORION_EXPIRE_INTERVAL_SECONDS: '0.5', // 5
  ORION_WORK_INTERVAL_SECONDS: '0.2', // 1
  ORION_WATCH_INTERVAL_SECONDS: '0.5', // 2
  ORION_CLAIM_SECONDS: '5', // 30
  ORION_RETRY_FIRST_SECONDS: '1', // 5
  ORION_MIN_LEASE_SECONDS: '1', // 60
};

const PLACES = 3;

export async function createControlPlane(lab: Lab, database: MariaDb): Promise<ControlPlane & { ports: number[] }> {
  const access = await database.createDatabase('orion');
  // What a killed play leaves in its folder goes with the demo's.
  const tmp = join(lab.dir, 'tmp');
  mkdirSync(tmp);
  const env: Env = {
    ...FASTER,
    TMPDIR: tmp,
    LOG_LEVEL: 'info',
    ORION_DB_HOST: access.host,
    ORION_DB_PORT: String(access.port),
    ORION_DB_USER: access.user,
    ORION_DB_PASSWORD: access.password,
    ORION_DB_NAME: access.database,
    ORION_JWT_KEY: randomBytes(32).toString('hex'),
    ORION_SSH_KEY_FILE: (await generateSshKeyPair(join(lab.dir, 'control-plane'), 'orion')).keyFile,
    ORION_HTTP_HOST: '127.0.0.1',
    ORION_OPS_HOST: '127.0.0.1',
    ORION_TRUST_PROXY: 'loopback',
    ORION_MAX_LEASES: '20',
    ORION_DRAIN_SECONDS: '0.5',
  };
  const ports: number[] = [];
  while (ports.length < PLACES) {
    ports.push(await freePort());
  }
  const apis: OrionProcess[] = [];
  const schedulers: OrionProcess[] = [];
  return {
    ports, apis, schedulers,
    startApi: async (place) => {
      const port = ports[place] ?? 0;
      const api = await startOrion(lab, 'api', { port, env: { ...env, ORION_HTTP_PORT: String(port) } });
      apis.push(api);
      return api;
    },
    startScheduler: async () => {
      const port = await freePort();
      const scheduler = await startOrion(lab, 'scheduler', { port, env: { ...env, ORION_OPS_PORT: String(port) } });
      schedulers.push(scheduler);
      return scheduler;
    },
    orion: (args, input = '') =>
      runOrThrow(process.execPath, [join(projectDir, 'dist', 'main.js'), ...args], { input, env: { PATH: process.env['PATH'], ...env } }),
    stop: async () => {
      await Promise.all([...apis, ...schedulers].map((role) => role.stop(3_000)));
    },
  };
}

/** The project's own Caddyfile, with the replicas as a fixed list. */
export function startProxy(lab: Lab, ports: number[]): Promise<Caddy> {
  return startCaddy(lab, {
    config: readFileSync(join(projectDir, 'Caddyfile'), 'utf8'),
    env: {
      ORION_CADDY_OPTIONS: 'default_bind 127.0.0.1',
      ORION_API_BY: 'list',
      ORION_API_UPSTREAMS: ports.map((port) => `127.0.0.1:${port}`).join(' '),
    },
  });
}

/** The sum of a counter over its labels, as a replica tells it at /metrics. Names with `_count` give the number of observations. */
export async function readCounter(role: OrionProcess, name: string, having = ''): Promise<number> {
  const text = await (await fetch(`${role.url}/metrics`, { signal: AbortSignal.timeout(5_000) })).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)) && line.includes(having));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
