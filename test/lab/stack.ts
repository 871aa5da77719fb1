import { randomInt } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomName } from '../../src/lib/ids';
import type { DockerEngine } from './docker';
import { eventually } from './eventually';
import type { Lab } from './lab';
import { launchScript, projectDir } from './paths';
import { freePort } from './ports';
import { run, runOrThrow, type RunResult } from './run';
import { parseWorkers, type WorkerLine } from './worker-line';

export interface StackOptions {
  engine: DockerEngine;
  /** Settings of the control plane's roles, in addition to those of compose.yaml. */
  settings?: Record<string, string>;
  /** Initial number of replicas by service. Other services get the number in compose.yaml. */
  scale?: Record<string, number>;
}

/** A container as the Docker engine describes it. */
export interface Container {
  id: string;
  name: string;
  service: string;
  /** Address in the stack's network; empty while the container is down. */
  address: string;
  /** Pid of its first process in the host's pid namespace; 0 while the container is down. */
  pid: number;
  running: boolean;
  /** Status of its health check; empty without one. */
  health: string;
  labels: Record<string, string>;
}

/** The project's own compose.yaml, started under a unique name and on unique ports. */
export interface Stack {
  project: string;
  httpUrl: string;
  httpsUrl: string;
  /** PEM file of Caddy's certificate authority. */
  caFile: string;
  /** Environment for further programs: DOCKER_HOST, COMPOSE_PROJECT_NAME and the variables of compose.yaml. */
  env: NodeJS.ProcessEnv;
  compose(...args: string[]): Promise<string>;
  docker(...args: string[]): Promise<string>;
  /** Lists the containers of one service by their numbers, including stopped ones. */
  containers(service: string): Promise<Container[]>;
  /** Writes a file that is deleted with the lab, and returns its path. */
  keep(name: string, content: string): string;
  /** Runs `orion …` in a replica of the API. */
  orion(args: string[], input?: string): Promise<string>;
  /** Runs launch-workers.sh --docker with these arguments. */
  workers(...args: string[]): Promise<WorkerLine[]>;
  /** Runs a shell command as root in a worker. */
  look(worker: string, command: string): Promise<RunResult>;
  /** Removes containers, networks and volumes. */
  down(): Promise<void>;
}

const UP_MS = 300_000;

export async function startStack(lab: Lab, options: StackOptions): Promise<Stack> {
  const stack = await describeStack(lab, options);
  const { project } = stack;
  lab.push(`stack ${project}`, () => stack.down(), 120_000);
  await runOrThrow(join(projectDir, 'scripts', 'init-secrets.sh'), [stack.env['ORION_SECRETS_DIR'] ?? ''], { env: stack.env });
  const scale = Object.entries(options.scale ?? {}).flatMap(([service, count]) => ['--scale', `${service}=${count}`]);
  await stack.compose('up', '-d', '--no-build', ...scale);
  await eventually(() => isUp(stack), { what: `${project} is up`, timeoutMs: UP_MS, everyMs: 500 });
  return stack;
}

async function isUp(stack: Stack): Promise<boolean> {
  const [caddy] = await stack.containers('caddy');
  const authority = await run('docker', ['exec', caddy?.id ?? '', 'cat', '/data/caddy/pki/authorities/local/root.crt'], { env: stack.env });
  if (authority.code !== 0) {
    throw new Error(`Caddy has no certificate yet: ${authority.stderr.trim()}`);
  }
  writeFileSync(stack.caFile, authority.stdout);
  const roles = (await Promise.all(['api', 'scheduler'].map((service) => stack.containers(service)))).flat();
  const late = roles.filter(({ health }) => health !== 'healthy');
  if (roles.length === 0 || late.length > 0) {
    throw new Error(`not healthy: ${late.map(({ name, health }) => `${name} ${health}`).join(', ')}`);
  }
  return true;
}

/** Chooses name, ports and settings of a stack. Starts nothing. */
export async function describeStack(lab: Lab, { engine, settings = {} }: StackOptions): Promise<Stack> {
  const project = `orion-lab-${randomName(8)}`;
  const [http, https, gateway] = [await freePort(), await freePort(), await freePort()];
  const settingsFile = join(lab.dir, `${project}.env`);
  writeFileSync(
    settingsFile,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const socket = engine.host.replace(/^unix:\/\//, '');
  const net = `10.213.${randomInt(1, 255)}`;
  const env: NodeJS.ProcessEnv = {
    ...engine.env,
    ORION_DOCKER_SOCKET: socket,
    ORION_DOCKER_GID: String(statSync(socket).gid),
    COMPOSE_PROJECT_NAME: project,
    COMPOSE_FILE: join(projectDir, 'compose.yaml'),
    ORION_SETTINGS_FILE: settingsFile,
    ORION_SECRETS_DIR: join(lab.dir, `${project}-secrets`),
    ORION_LISTEN_ADDRESS: '127.0.0.1',
    ORION_SUBNET: `${net}.0/24`,
    ORION_DYNAMIC_RANGE: `${net}.128/25`,
    ORION_CADDY_ADDRESS: `${net}.10`,
    ORION_HTTP_PORT: String(http),
    ORION_HTTPS_PORT: String(https),
    ORION_GATEWAY_PORT: String(gateway),
  };
  const docker = (...args: string[]): Promise<string> => runOrThrow('docker', args, { env, timeoutMs: UP_MS });
  const compose = (...args: string[]): Promise<string> => runCompose(args, env);
  const listIds = async (filters: string[]): Promise<string[]> =>
    (await docker('ps', '-aq', '--no-trunc', ...filters.flatMap((filter) => ['--filter', `label=${filter}`])))
      .split('\n')
      .filter((id) => id !== '');
  const containers = async (service: string): Promise<Container[]> => {
    const ids = await listIds([
      `com.docker.compose.project=${project}`,
      `com.docker.compose.service=${service}`,
      'com.docker.compose.oneoff=False',
    ]);
    const found =
      ids.length === 0 ? [] : (JSON.parse(await docker('inspect', ...ids)) as Inspected[]).map((each) => toContainer(each, service));
    return found.toSorted((a, b) => numberOf(a) - numberOf(b));
  };
  const launch = (args: string[]): [string, string[]] => [launchScript, ['--docker', ...args]];
  return {
    project,
    env,
    compose,
    docker,
    containers,
    httpUrl: `http://localhost:${http}`,
    httpsUrl: `https://localhost:${https}`,
    caFile: join(lab.dir, `${project}-ca.crt`),
    keep: (name, content) => {
      const file = join(lab.dir, `${project}-${name}`);
      writeFileSync(file, content, { mode: 0o600 });
      return file;
    },
    orion: async (args, input = '') => {
      const [api] = (await containers('api')).filter(({ running }) => running);
      return runOrThrow('docker', ['exec', '-i', api?.id ?? '', 'orion', ...args], { env, input });
    },
    workers: async (...args) => parseWorkers(await runOrThrow(...launch(args), { env, timeoutMs: UP_MS })),
    look: (worker, command) => run(...launch(['--exec', worker, 'sh', '-c', command]), { env }),
    down: async () => {
      await run(...launch(['--remove']), { env, timeoutMs: UP_MS });
      await compose('down', '--volumes', '--remove-orphans', '--timeout', '1');
    },
  };
}

/** Runs Compose v2 where it is installed, else Compose 1.29. */
async function runCompose(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { code } = await run('docker', ['compose', 'version'], { env });
  return code === 0
    ? runOrThrow('docker', ['compose', ...args], { env, timeoutMs: UP_MS })
    : runOrThrow('docker-compose', args, { env, timeoutMs: UP_MS });
}

interface Inspected {
  Id: string;
  Name: string;
  State: { Pid: number; Running: boolean; Health?: { Status: string } };
  Config: { Labels: Record<string, string> };
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> };
}

function toContainer({ Id, Name, State, Config, NetworkSettings }: Inspected, service: string): Container {
  const networks = Object.entries(NetworkSettings.Networks);
  const [, network] = networks.find(([name]) => name.endsWith('_default') || name.endsWith('_workers')) ?? networks[0] ?? [];
  return {
    id: Id,
    name: Name.replace(/^\//, ''),
    service,
    address: network?.IPAddress ?? '',
    pid: State.Pid,
    running: State.Running,
    health: State.Health?.Status ?? '',
    labels: Config.Labels,
  };
}

const numberOf = ({ labels }: Container): number => Number(labels['com.docker.compose.container-number'] ?? 0);
