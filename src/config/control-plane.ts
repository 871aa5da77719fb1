import { parseBaseUrl } from '../lib/base-url';
import type { LogLevel } from '../lib/logger';
import { MAX_UID, MIN_UIDS, type UidRange } from '../lib/uid-range';
import { readDatabase, type DatabaseConfig } from './database';
import { createEnvReader, type EnvReader } from './env';
import { type GatewayConfig, readGateway } from './gateway';
import { type ApiKeys, readApiKeys, readSsh, type SshConfig } from './keys';
import { type LimitsConfig, readLimits } from './limits';
import { readSeconds as seconds } from './seconds';

export interface ControlPlaneConfig {
  logLevel: LogLevel;
  database: DatabaseConfig;
  http: { host: string; port: number; agentsPort: number; trustProxy: string | false; publicUrl: string | undefined; drainSeconds: number };
  ops: { host: string; port: number };
  /**
   * Address at which the rest of the control plane reaches the tunnels of this process. Host undefined: the address of this process that
   * the database sees.
   */
  relay: { host: string | undefined; port: number };
  gateway: GatewayConfig;
  /** Null in a process that is not an API. */
  apiKeys: ApiKeys | null;
  /** Null in a process that does not log in to nodes as the management account. */
  ssh: SshConfig | null;
  accounts: { signup: 'open' | 'closed'; maxLeases: number; maxLeaseHours: number; minLeaseSeconds: number };
  limits: LimitsConfig;
  enrolment: 'token' | 'open';
  /** Machines that may wait for an operator's approval at the same time. */
  maxPendingNodes: number;
  /** Uids for the accounts of leases. */
  uids: UidRange;
  heartbeat: {
    /** At most a third of the lease timeout, so that one heartbeat may be lost. */
    intervalSeconds: number;
    overdueSeconds: number;
    /** Longest interval between two heartbeats of a node without accounts. */
    idleSeconds: number;
    /** Heartbeats of the whole fleet per second. Idle nodes send fewer, to keep to it. */
    perSecond: number;
    /** Lease timeout: after this time without contact, a node suspends its accounts. 0: never. */
    contactLimitSeconds: number;
  };
  probe: {
    intervalSeconds: number;
    suspectIntervalSeconds: number;
    timeoutSeconds: number;
    deadAfterFailures: number;
    concurrency: number;
    /** True: schedulers keep SSH connections to nodes open and send keepalive probes over them. */
    kept: boolean;
    /** Pooled SSH sessions of one scheduler at most. */
    maxKept: number;
    /** Longest interval between two full-login probes of a node. */
    deepCheckSeconds: number;
  };
  work: { claimSeconds: number; playTimeoutSeconds: number; playMemoryMb: number; playConcurrency: number; warmPlays: boolean; rentWaitSeconds: number; outageSeconds: number };
  intervals: { migrateSeconds: number; expireSeconds: number; workSeconds: number; watchSeconds: number };
  retry: { firstSeconds: number; maxSeconds: number };
  maxWipeFailures: number;
  maxProvisionFailures: number;
  /** Null: home backups are off. */
  checkpoints: CheckpointConfig | null;
}

interface CheckpointConfig {
  directory: string;
  /** Undefined in a process that makes no home backups. An API shows home backups and must not have the key. */
  keyFile: string | undefined;
  intervalSeconds: number;
  maxBytes: number;
  concurrency: number;
}

/** Reads the address of this process's relay. Other processes connect to it, so it must be one address and not a wildcard. */
function readRelayHost(env: EnvReader): string | undefined {
  const host = env.optionalText('ORION_RELAY_HOST');
  if (host === '0.0.0.0' || host === '::') {
    env.fault('ORION_RELAY_HOST', 'must be the address at which the rest of the control plane reaches this process');
  }
  return host;
}

function readHttp(env: EnvReader): Pick<ControlPlaneConfig, 'http' | 'ops' | 'relay' | 'limits'> {
  const proxy = env.text('ORION_TRUST_PROXY', { default: 'false' });
  return {
    http: {
      host: env.text('ORION_HTTP_HOST', { default: '0.0.0.0' }),
      port: env.integer('ORION_HTTP_PORT', { default: 3000, min: 0, max: 65535 }),
      agentsPort: env.integer('ORION_AGENTS_PORT', { default: 3001, min: 0, max: 65535 }),
      trustProxy: proxy === 'false' ? false : proxy,
      publicUrl: readPublicUrl(env),
      drainSeconds: seconds(env, 'ORION_DRAIN_SECONDS', { default: 3, min: 0, max: 300 }),
    },
    ops: {
      host: env.text('ORION_OPS_HOST', { default: '0.0.0.0' }),
      port: env.integer('ORION_OPS_PORT', { default: 9464, min: 0, max: 65535 }),
    },
    relay: { host: readRelayHost(env), port: env.integer('ORION_RELAY_PORT', { default: 0, min: 0, max: 65535 }) },
    limits: readLimits(env),
  };
}

function readPublicUrl(env: EnvReader): string | undefined {
  const text = env.optionalText('ORION_PUBLIC_URL')?.trim();
  const url = text === undefined ? undefined : parseBaseUrl(text.replace(/\/$/, ''));
  if (text !== undefined && url === undefined) {
    env.fault('ORION_PUBLIC_URL', `must be https://host or https://host:port (it is ${JSON.stringify(text)})`);
  }
  return url;
}

function readUids(env: EnvReader): ControlPlaneConfig['uids'] {
  const first = env.integer('ORION_FIRST_UID', { default: 70_000, min: 10_000, max: MAX_UID });
  const last = env.integer('ORION_LAST_UID', { default: MAX_UID, min: 10_000, max: MAX_UID });
  if (last - first + 1 < MIN_UIDS) {
    env.fault('ORION_LAST_UID', `must be at least ${MIN_UIDS - 1} above ORION_FIRST_UID (${first})`);
  }
  return { first, last };
}

function readLeasing(env: EnvReader): Pick<ControlPlaneConfig, 'accounts' | 'enrolment' | 'maxPendingNodes' | 'uids' | 'heartbeat'> {
  const contactLimit = seconds(env, 'ORION_CONTACT_LIMIT_SECONDS', { default: 15, min: 0 });
  const interval = seconds(env, 'ORION_HEARTBEAT_INTERVAL_SECONDS', { default: 5 });
  const heartbeat = contactLimit > 0 ? Math.min(interval, contactLimit / 3) : interval;
  return {
    accounts: {
      signup: env.choice('ORION_SIGNUP', ['open', 'closed'], { default: 'open' }),
      maxLeases: env.integer('ORION_MAX_LEASES', { default: 5, min: 0 }),
      maxLeaseHours: env.integer('ORION_MAX_LEASE_HOURS', { default: 24, min: 1 }),
      minLeaseSeconds: env.integer('ORION_MIN_LEASE_SECONDS', { default: 60, min: 1 }),
    },
    enrolment: env.choice('ORION_ENROLMENT', ['token', 'open'], { default: 'token' }),
    maxPendingNodes: env.integer('ORION_MAX_PENDING_NODES', { default: 200, min: 0, max: 100_000 }),
    uids: readUids(env),
    heartbeat: {
      intervalSeconds: heartbeat,
      overdueSeconds: seconds(env, 'ORION_HEARTBEAT_OVERDUE_SECONDS', { default: heartbeat * 2.5 }),
      idleSeconds: seconds(env, 'ORION_HEARTBEAT_IDLE_SECONDS', { default: 60, max: 3600 }),
      perSecond: env.integer('ORION_HEARTBEATS_PER_SECOND', { default: 2000, min: 1 }),
      contactLimitSeconds: contactLimit,
    },
  };
}

/** Ten minutes at the default interval. */
const DEEP_CHECK_INTERVALS = 20;

function readWork(env: EnvReader): Pick<ControlPlaneConfig, 'probe' | 'work' | 'intervals' | 'retry' | 'maxWipeFailures' | 'maxProvisionFailures'> {
  const probeInterval = seconds(env, 'ORION_PROBE_INTERVAL_SECONDS', { default: 30 });
  return {
    probe: {
      intervalSeconds: probeInterval,
      suspectIntervalSeconds: seconds(env, 'ORION_SUSPECT_INTERVAL_SECONDS', { default: 2 }),
      timeoutSeconds: seconds(env, 'ORION_PROBE_TIMEOUT_SECONDS', { default: 5 }),
      deadAfterFailures: env.integer('ORION_DEAD_AFTER_FAILURES', { default: 3, min: 1, max: 100 }),
      concurrency: env.integer('ORION_PROBE_CONCURRENCY', { default: 32, min: 1, max: 1000 }),
      kept: env.boolean('ORION_KEPT_PROBES', { default: true }),
      maxKept: env.integer('ORION_MAX_KEPT_PROBES', { default: 10_000, min: 1 }),
      deepCheckSeconds: seconds(env, 'ORION_DEEP_CHECK_SECONDS', { default: probeInterval * DEEP_CHECK_INTERVALS }),
    },
    work: {
      claimSeconds: seconds(env, 'ORION_CLAIM_SECONDS', { default: 30, min: 1 }),
      playTimeoutSeconds: seconds(env, 'ORION_PLAY_TIMEOUT_SECONDS', { default: 120, min: 5 }),
      playMemoryMb: env.integer('ORION_PLAY_MEMORY_MB', { default: 256, min: 128 }),
      playConcurrency: env.integer('ORION_PLAY_CONCURRENCY', { default: 4, min: 1, max: 64 }),
      warmPlays: env.boolean('ORION_WARM_PLAYS', { default: true }),
      rentWaitSeconds: seconds(env, 'ORION_RENT_WAIT_SECONDS', { default: 60, min: 0 }),
      outageSeconds: seconds(env, 'ORION_OUTAGE_SECONDS', { default: 10, min: 1 }),
    },
    intervals: {
      migrateSeconds: seconds(env, 'ORION_MIGRATE_INTERVAL_SECONDS', { default: 10 }),
      expireSeconds: seconds(env, 'ORION_EXPIRE_INTERVAL_SECONDS', { default: 5, max: 60 }),
      workSeconds: seconds(env, 'ORION_WORK_INTERVAL_SECONDS', { default: 1 }),
      watchSeconds: seconds(env, 'ORION_WATCH_INTERVAL_SECONDS', { default: 2 }),
    },
    retry: {
      firstSeconds: seconds(env, 'ORION_RETRY_FIRST_SECONDS', { default: 5 }),
      maxSeconds: seconds(env, 'ORION_RETRY_MAX_SECONDS', { default: 300 }),
    },
    maxWipeFailures: env.integer('ORION_MAX_WIPE_FAILURES', { default: 5, min: 1 }),
    maxProvisionFailures: env.integer('ORION_MAX_PROVISION_FAILURES', { default: 3, min: 1 }),
  };
}

function readCheckpoints(env: EnvReader): CheckpointConfig | null {
  const directory = env.optionalText('ORION_CHECKPOINT_DIR');
  const settings = {
    keyFile: env.optionalText('ORION_CHECKPOINT_KEY_FILE'),
    intervalSeconds: seconds(env, 'ORION_CHECKPOINT_INTERVAL_SECONDS', { default: 300, min: 1 }),
    maxBytes: env.integer('ORION_CHECKPOINT_MAX_MB', { default: 1024, min: 1 }) * 2 ** 20,
    concurrency: env.integer('ORION_CHECKPOINT_CONCURRENCY', { default: 2, min: 1, max: 64 }),
  };
  return directory === undefined ? null : { directory, ...settings };
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

/**
 * Reads the settings of the roles api, scheduler and gateway. It reads and requires only the keys that `roles` need. Throws one ConfigError
 * that lists every fault.
 */
export function loadControlPlaneConfig(source: NodeJS.ProcessEnv, roles: readonly string[]): Readonly<ControlPlaneConfig> {
  const isApi = roles.includes('api');
  const env = createEnvReader(source);
  const config = {
    logLevel: env.choice('LOG_LEVEL', [...LOG_LEVELS], { default: 'info' }),
    database: readDatabase(env),
    ...readHttp(env),
    gateway: readGateway(env),
    apiKeys: isApi ? readApiKeys(env) : null,
    ssh: isApi || roles.includes('scheduler') ? readSsh(env) : null,
    ...readLeasing(env),
    ...readWork(env),
    checkpoints: readCheckpoints(env),
  };
  env.finish();
  return Object.freeze(config);
}

/** Reads the private control key, for a command that needs it. */
export function loadControlKey(source: NodeJS.ProcessEnv): string {
  const env = createEnvReader(source);
  const key = env.text('ORION_CONTROL_KEY', { secret: true });
  env.finish();
  return key;
}

/** Reads the settings of commands that need only the database. */
export function loadDatabaseConfig(source: NodeJS.ProcessEnv): DatabaseConfig {
  const env = createEnvReader(source);
  const database = readDatabase(env);
  env.finish();
  return database;
}
