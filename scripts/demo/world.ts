import { parseJoinToken } from '../../src/lib/join-token';
import { type Lab, testConstants } from '../../test/lab';
import type { Narrator } from './narrator';

/** Where the play takes place. The chapters know nothing else of it. */
export interface World {
  /** What a spectator has to know beforehand. */
  introduction(lab: Lab): string;
  /** Database, the operator's account, two APIs, two schedulers, and the single way in; step by step. */
  startUp(lab: Lab, narrator: Narrator, operator: Operator): Promise<ControlPlane>;
  /** Machines whose agents call the proxy over plain http. */
  launchFleet(plane: ControlPlane, count: number, joinToken: string): Promise<Fleet>;
}

export interface Operator {
  username: string;
  password: string;
}

/** One process of the control plane. */
export interface Replica {
  /** Where it tells its health and metrics: `http://host:port`. */
  url: string;
  /** Whether Ansible, which makes accounts, runs in it now. */
  isProvisioning(): boolean;
  /** SIGKILL. */
  kill9(): Promise<void>;
}

export interface ControlPlane {
  lab: Lab;
  proxy: ProxyUrls;
  apis: Replica[];
  schedulers: Replica[];
  /** One API more; it joins `apis`. */
  addApi(): Promise<void>;
  /** Ends all roles. */
  stop(): Promise<void>;
}

/** Caddy, seen from outside. */
export interface ProxyUrls {
  httpsUrl: string;
  httpUrl: string;
  /** The certificate authority to trust, as a PEM file. */
  caFile: string;
}

/** The machines that enrol. */
export interface Fleet {
  /** One more, whose agent has no join token. */
  launchStranger(): Promise<{ name: string; host_key: string }>;
  /** As a power cut. */
  kill(hostname: string): Promise<void>;
  /** What the disk of a machine that is down holds of an account: paths of files. */
  filesOf(hostname: string, uid: string): Promise<string[]>;
  /** Power is back: the same machine with its old files. */
  start(hostname: string): Promise<void>;
  /** Runs a shell command in it as root, past sshd and past Orion, and returns what it printed. */
  look(hostname: string, command: string): Promise<string>;
}

/** Constants and settings for a short show. The defaults stand beside them. */
export const FASTER: Record<string, string> = {
  ...testConstants({
    suspectIntervalSeconds: 0.5, // 2
    probeTimeoutSeconds: 3, // 5
    heartbeatIntervalSeconds: 2, // 5
    overdueIntervals: 4, // 2.5
    migrateIntervalSeconds: 1, // 10
    expireIntervalSeconds: 0.5, // 5
    workIntervalSeconds: 0.2, // 1
    watchIntervalSeconds: 0.5, // 2
    claimSeconds: 5, // 30
    retryFirstSeconds: 1, // 5
    minLeaseSeconds: 1, // 60
  }),
  ORION_PROBE_INTERVAL_SECONDS: '2', // 30
  ORION_CHECKPOINT_INTERVAL_SECONDS: '2', // 300
  ORION_MAX_LEASES: '20', // 5
};

/** For the launcher: a machine without a token calls over plain http, so its owner tells it which control plane to trust. */
export const trustOfStranger = (joinToken: string): string[] => [
  '--agent-env',
  `ORION_CONTROL_FINGERPRINT=${parseJoinToken(joinToken)?.fingerprint ?? ''}`,
];

/** The sum of a counter over its labels, as a replica tells it at /metrics. Names with `_count` give the number of observations. */
export async function readCounter({ url }: Replica, name: string, having = ''): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5_000) })).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)) && line.includes(having));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
