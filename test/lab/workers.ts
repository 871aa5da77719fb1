import { cpSync, existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Lab } from './lab';
import { launchScript } from './paths';
import { childCoverageEnv } from './process';
import { startRelay } from './relay';
import { run, runOrThrow, type RunResult } from './run';
import { parseWorkers, type WorkerLine, type WorkerState } from './worker-line';

/** Which packets are dropped: those to the worker, those from it, or both. */
export type Cut = 'in' | 'out' | 'both';

export interface LaunchOptions {
  /**
   * `host` (default): the worker shares the host's network. `routed`: each worker has a network namespace. `nat`: like `routed`, but
   * nothing can connect to the worker from outside.
   */
  network?: 'host' | 'routed' | 'nat';
  /** URL of the control plane that the agents call. Without it, no agent is started unless `agent` is true. */
  endpoint?: string;
  agent?: boolean;
  joinToken?: string;
  labels?: Record<string, string>;
  cpus?: number;
  /** Further settings of the agent. */
  agentEnv?: Record<string, string>;
  /** Root file system of another Linux distribution (scripts/make-root.sh). Only its sshd is started. */
  root?: string;
}

/** A simulated machine: namespaces with their own root, sshd and agent (see scripts/launch-workers.sh). */
export interface Worker {
  name: string;
  address: string;
  port: number;
  /** Host key as `type base64`. It changes with `start({ fresh: true })`. */
  hostKey: string;
  /** Folder with sshd.log, agent.log and init.log. */
  logs: string;
  /** Kills the worker at once, like a power cut. */
  kill(): Promise<void>;
  /** Stops the worker in order, like a shutdown. */
  stop(): Promise<void>;
  /** Starts the worker again, with its old files, or with none and a new host key. Resolves when its sshd listens. */
  start(options?: { fresh?: boolean }): Promise<void>;
  /** Sends SIGSTOP to all its processes: the kernel still accepts connections, but nothing answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /**
   * Drops packets silently, like a network partition. Needs a worker with its own network. Ends at the latest when the worker starts again.
   */
  cut(what?: Cut): Promise<void>;
  mend(): Promise<void>;
  state(): Promise<WorkerState>;
  /** Runs a shell command in the worker as root, without sshd. */
  exec(command: string, options?: { input?: string; timeoutMs?: number }): Promise<RunResult>;
  /** Lets a public key log in as root. */
  authorizeRoot(publicKey: string): Promise<void>;
}

export interface WorkerFleet {
  stateDir: string;
  workers: Worker[];
  /** Starts `n` more workers with the same options and returns them. */
  add(n: number): Promise<Worker[]>;
  /** Stops and deletes all workers. The lab does this when it closes. */
  remove(): Promise<void>;
}

const COVERAGE_IN_WORKER = '/var/cache/orion-coverage';

export async function launchWorkers(lab: Lab, n: number, options: LaunchOptions = {}): Promise<WorkerFleet> {
  const stateDir = join(mkdtempSync(join(lab.dir, 'workers-')), 'state');
  const call = (...args: string[]): Promise<string> => runOrThrow(launchScript, ['--state-dir', stateDir, ...args]);
  const fleet: WorkerFleet = {
    stateDir,
    workers: [],
    add: async (more) => {
      const lines = parseWorkers(await call(String(more), ...launchArguments(stateDir, options)));
      const added = lines.map((line) => createWorker(stateDir, call, line));
      fleet.workers.push(...added);
      return added;
    },
    remove: async () => {
      if (existsSync(stateDir)) {
        await saveCoverage(fleet);
      }
      await call('--remove');
    },
  };
  lab.note({ kind: 'workers', stateDir });
  lab.push('workers', () => fleet.remove(), 60_000);
  await fleet.add(n);
  await relayEndpoint(lab, fleet, options);
  return fleet;
}

/**
 * Makes the control plane reachable for workers with their own network. Servers of a lab listen on the host's 127.0.0.1, so a relay listens
 * at the host's end of the links.
 */
async function relayEndpoint(lab: Lab, { workers }: WorkerFleet, { network = 'host', endpoint }: LaunchOptions): Promise<void> {
  if (network !== 'host' && endpoint !== undefined && workers[0]) {
    const host = workers[0].address.replace(/\d+$/, '254');
    const port = Number(new URL(endpoint).port);
    await startRelay(lab, { at: { host, port }, to: { host: '127.0.0.1', port } });
  }
}

function launchArguments(stateDir: string, options: LaunchOptions): string[] {
  const network = ['--network', options.network ?? 'host', ...(options.root === undefined ? [] : ['--root', options.root])];
  if (!(options.agent ?? options.endpoint !== undefined)) {
    return [...network, '--no-agent'];
  }
  const labels = Object.entries(options.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  const coverage = childCoverageEnv()['NODE_V8_COVERAGE'] ? { NODE_V8_COVERAGE: COVERAGE_IN_WORKER } : {};
  const settings = Object.entries({ ...coverage, ...options.agentEnv }).flatMap(([name, value]) => ['--agent-env', `${name}=${value}`]);
  return [
    ...network,
    ...(options.endpoint === undefined ? [] : ['--endpoint', options.endpoint]),
    ...(options.joinToken === undefined ? [] : ['--token-file', writeToken(stateDir, options.joinToken)]),
    ...(labels.length > 0 ? ['--labels', labels.join(',')] : []),
    ...(options.cpus === undefined ? [] : ['--cpus', String(options.cpus)]),
    ...settings,
  ];
}

function writeToken(stateDir: string, token: string): string {
  const file = join(dirname(stateDir), 'join-token');
  writeFileSync(file, token, { mode: 0o600 });
  return file;
}

type Call = (...args: string[]) => Promise<string>;

function createWorker(stateDir: string, call: Call, line: WorkerLine): Worker {
  const { name } = line;
  const verb = async (...args: string[]): Promise<void> => {
    await call(...args);
  };
  const find = async (): Promise<WorkerLine> => {
    const found = parseWorkers(await call('--list')).find((other) => other.name === name);
    return found ?? { ...line, state: 'stopped', pid: null };
  };
  const exec: Worker['exec'] = (command, options) =>
    run(launchScript, ['--state-dir', stateDir, '--exec', name, 'sh', '-c', command], options);
  const worker: Worker = {
    name,
    address: line.address,
    port: line.port,
    hostKey: line.host_key,
    logs: line.logs,
    kill: () => verb('--kill', name),
    stop: () => verb('--stop', name),
    start: async ({ fresh = false } = {}) => {
      const [started] = parseWorkers(await call('--start', name, ...(fresh ? ['--fresh'] : [])));
      worker.hostKey = started?.host_key ?? '';
    },
    freeze: () => verb('--freeze', name),
    thaw: () => verb('--thaw', name),
    cut: (what = 'both') => verb('--cut', name, what),
    mend: () => verb('--mend', name),
    state: async () => (await find()).state,
    exec,
    authorizeRoot: async (publicKey) => {
      const result = await exec('umask 077; mkdir -p /root/.ssh; cat >> /root/.ssh/authorized_keys', { input: `${publicKey}\n` });
      if (result.code !== 0) {
        throw new Error(`cannot add a key on ${name}: ${result.stderr}`);
      }
    },
  };
  return worker;
}

/** Copies the coverage data out of the workers before they are deleted. Node writes coverage only when it exits in order. */
async function saveCoverage(fleet: WorkerFleet): Promise<void> {
  const target = childCoverageEnv()['NODE_V8_COVERAGE'];
  if (!target) {
    return;
  }
  await Promise.all(fleet.workers.map((worker) => worker.stop()));
  for (const { name } of fleet.workers) {
    const written = join(fleet.stateDir, name, 'upper', COVERAGE_IN_WORKER);
    for (const file of existsSync(written) ? readdirSync(written) : []) {
      cpSync(join(written, file), join(target, `${name}-${process.pid}-${file}`));
    }
  }
}
