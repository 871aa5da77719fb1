import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  freePort,
  generateSshKeyPair,
  type Lab,
  type MariaDb,
  type OrionProcess,
  portsBeside,
  projectDir,
  runOrThrow,
  startOrion,
  startProjectCaddy,
} from '../../../test/lab';
import { isPlaying } from '../playing';
import { type ControlPlane, type ProxyUrls, FASTER, type Replica } from '../world';

type Env = Record<string, string>;

const PLACES = 3;

/** What the processes are started with. */
export interface Plan {
  lab: Lab;
  env: Env;
  /** Of the APIs, as Caddy knows them. */
  ports: number[];
  /** What one role has alone. */
  gateway: Env;
  scheduler: Env;
}

/** The keys of the gateway and of what it keeps of homes, and where it is. */
async function planGateway(lab: Lab): Promise<{ env: Env; secrets: Env }> {
  const dir = join(lab.dir, 'gateway');
  const [login, host, port] = await Promise.all([generateSshKeyPair(dir, 'gateway'), generateSshKeyPair(dir, 'gateway-host'), freePort()]);
  return {
    env: {
      ORION_GATEWAY_PUBLIC_KEY: login.publicKey,
      ORION_GATEWAY_HOST_PUBLIC_KEY: host.publicKey,
      ORION_GATEWAY_ADDRESS: `127.0.0.1:${port}`,
    },
    secrets: {
      ORION_GATEWAY_HOST: '127.0.0.1',
      ORION_GATEWAY_PORT: String(port),
      ORION_GATEWAY_KEY_FILE: login.keyFile,
      ORION_GATEWAY_HOST_KEY_FILE: host.keyFile,
    },
  };
}

async function planCheckpoints(lab: Lab): Promise<{ env: Env; secrets: Env }> {
  const [store, keyFile] = [join(lab.dir, 'checkpoints'), join(lab.dir, 'checkpoint-key')];
  mkdirSync(store);
  await runOrThrow('age-keygen', ['-o', keyFile]);
  return { env: { ORION_CHECKPOINT_DIR: store }, secrets: { ORION_CHECKPOINT_KEY_FILE: keyFile } };
}

export async function planSystem(lab: Lab, database: MariaDb): Promise<Plan> {
  const access = await database.createDatabase('orion');
  // What a killed play leaves in its folder goes with the demo's.
  const tmp = join(lab.dir, 'tmp');
  mkdirSync(tmp);
  const [gateway, checkpoints, audit] = await Promise.all([
    planGateway(lab),
    planCheckpoints(lab),
    generateSshKeyPair(join(lab.dir, 'audit-key'), 'orion audit'),
  ]);
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
    ORION_CONTROL_KEY_FILE: (await generateSshKeyPair(join(lab.dir, 'control-key'), 'orion')).keyFile,
    ORION_HTTP_HOST: '127.0.0.1',
    ORION_OPS_HOST: '127.0.0.1',
    ORION_TRUST_PROXY: 'loopback',
    ORION_DRAIN_SECONDS: '0.5',
    ...gateway.env,
    ...checkpoints.env,
  };
  const ports: number[] = [];
  while (ports.length < PLACES) {
    ports.push(await freePort());
  }
  return { lab, env, ports, gateway: gateway.secrets, scheduler: { ...checkpoints.secrets, ORION_AUDIT_KEY_FILE: audit.keyFile } };
}

/** Runs `orion …` to its end. */
export async function runOrion({ env }: Plan, args: string[], input = ''): Promise<void> {
  await runOrThrow(process.execPath, [join(projectDir, 'dist', 'main.js'), ...args], { input, env: { PATH: process.env['PATH'], ...env } });
}

/** Two APIs, two schedulers and a gateway: processes of the built program. */
export async function startRoles(plan: Plan): Promise<Omit<ControlPlane, 'proxy'>> {
  const { lab } = plan;
  const [first, second, gateway, ...schedulers] = await Promise.all([
    startApi(plan, 0),
    startApi(plan, 1),
    startGateway(plan),
    startScheduler(plan),
    startScheduler(plan),
  ]);
  const running = [first, second, gateway, ...schedulers];
  const apis: Replica[] = [first, second].map(toReplica);
  return {
    lab,
    apis,
    schedulers: schedulers.map(toReplica),
    addApi: async () => {
      const api = await startApi(plan, apis.length);
      running.push(api);
      apis.push(toReplica(api));
    },
    stop: async () => {
      await Promise.all(running.map((role) => role.stop(3_000)));
    },
  };
}

function startApi({ lab, env, ports }: Plan, place: number): Promise<OrionProcess> {
  const port = ports[place] ?? 0;
  return startOrion(lab, 'api', { port, env: { ...env, ORION_HTTP_PORT: String(port) } });
}

async function startScheduler({ lab, env, scheduler }: Plan): Promise<OrionProcess> {
  const port = await freePort();
  return startOrion(lab, 'scheduler', { port, env: { ...env, ...scheduler, ORION_OPS_PORT: String(port) } });
}

async function startGateway({ lab, env, gateway }: Plan): Promise<OrionProcess> {
  const port = await freePort();
  return startOrion(lab, 'gateway', { port, env: { ...env, ...gateway, ORION_OPS_PORT: String(port) } });
}

function toReplica(role: OrionProcess): Replica {
  return {
    url: role.opsUrl,
    isProvisioning: () => isPlaying(role.pid),
    kill9: async () => {
      await role.kill9();
    },
  };
}

/** The project's own Caddyfile, with the replicas as a fixed list. */
export async function startProxy({ lab, ports }: Plan): Promise<ProxyUrls> {
  const replicas = ports.map(async (port) => ({
    url: `http://127.0.0.1:${port}`,
    agentsUrl: `http://127.0.0.1:${(await portsBeside(port)).agents}`,
  }));
  return startProjectCaddy(lab, await Promise.all(replicas));
}
