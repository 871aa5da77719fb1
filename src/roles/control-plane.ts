import { join } from 'node:path';
import type { Knex } from 'knex';
import type { ControlPlaneConfig } from '../config/control-plane';
import type { ShownSetting } from '../config/shown-settings';
import { createMigrator } from '../db/migrate';
import type { FlowContext, FlowSettings, WorkContext } from '../flows/support/context';
import { type Clock, systemClock } from '../lib/clock';
import { type Closer, createCloser } from '../lib/closer';
import { messageOf } from '../lib/errors';
import { createLogger, type Logger } from '../lib/logger';
import { packageRoot } from '../lib/package-root';
import { createRecentLogs, type RecentLogs } from '../lib/recent-logs';
import { createReadiness, type Readiness } from '../lib/readiness';
import { createWinstonSink } from '../lib/winston-sink';
import { newClaimToken } from '../lib/ids';
import { createAge, createDirectoryStore, createHomes, type Homes } from '../modules/checkpoints';
import { type BoundJob, createReportWriter, type RunningJobs, startJobs } from '../modules/jobs';
import { createAnsibleProvisioner, type Provisioner, sweepStalePlays } from '../modules/provisioning';
import { createMetrics, type Metrics } from '../modules/telemetry';
import { createTunnelDial, createTunnelHub, olderTokens, type OlderTokens, type TunnelHub } from '../modules/tunnels';
import {
  createDial,
  createPooledSessions,
  type Dial,
  type PooledSessions,
  type PooledSessionsSettings,
  type SessionSettings,
} from '../ssh';
import { measureProcess, openPool, type PoolName } from './measure';

/** The resources of every role that uses the database. */
export interface Plane {
  db: Knex;
  /** A separate pool for queries that only read and take no locks, so that they never wait behind blocked claims. */
  reads: Knex;
  /**
   * A separate connection for /metrics. So a scrape waits for no other caller, and `orion_database_up` is about the database and not about
   * a pool.
   */
  scrapes: Knex;
  clock: Clock;
  logger: Logger;
  recentLogs: RecentLogs;
  metrics: Metrics;
  readiness: Readiness;
  closer: Closer;
}

/** The resources that the roles of one control-plane process share. */
export interface ControlPlane extends Plane {
  config: Readonly<ControlPlaneConfig>;
  /** The settings of this process, without secrets. */
  shownSettings: ShownSetting[];
  /** The tunnels of this process. Empty unless it is an API replica. */
  tunnels: { ownerId: string; hub: TunnelHub };
  /** Relay tokens of the previous release, which an API accepts and sends during an update. Undefined unless this process is an API. */
  olderTokens: OlderTokens | undefined;
  /** Connects to any node, directly or through its tunnel, even if another process owns the tunnel. */
  dial: Dial;
}

/** The resources that roles share that work on nodes. These roles have the SSH key of the nodes. */
export interface WorkPlane extends ControlPlane {
  provisioner: Provisioner;
  /** How the control plane logs in to a node. */
  session: SessionSettings;
  /** The pooled SSH sessions over which plays run. */
  sessions: PooledSessions;
  /** Null: home backups are off, or this process has no key for them. */
  homes: Homes | null;
}

/** Added to the connections of ORION_DB_POOL and opened on demand. Reads are short: these four serve a thousand a second. */
const READ_CONNECTIONS = 4;

export function openPlane(config: Readonly<Pick<ControlPlaneConfig, 'logLevel' | 'database'>>, roles: string[]): Plane {
  const recentLogs = createRecentLogs(systemClock);
  const logger = createLogger(config.logLevel, recentLogs.keep(createWinstonSink()), { role: roles.join(',') });
  const closer = createCloser(logger);
  const [metrics, readiness] = [createMetrics(), createReadiness()];
  measureProcess({ metrics, readiness });
  const open = (name: PoolName, poolSize = config.database.poolSize): Knex =>
    openPool({ closer, metrics }, name, { ...config.database, poolSize });
  const pools = { db: open('work'), reads: open('reads', READ_CONNECTIONS), scrapes: open('scrape', 1) };
  return { ...pools, clock: systemClock, logger, recentLogs, metrics, readiness, closer };
}

/** Each session takes about 40 KB of memory. */
const POOLED_SESSIONS = { loginTimeoutMs: 10_000, idleMs: 600_000, max: 1_000 };

export function openControlPlane(config: Readonly<ControlPlaneConfig>, roles: string[], shownSettings: ShownSetting[]): ControlPlane {
  const plane = openPlane(config, roles);
  const { db, clock, logger } = plane;
  const tunnels = { ownerId: newClaimToken(), hub: createTunnelHub({ clock, logger }) };
  const older = config.apiKeys ? olderTokens([config.apiKeys.jwt.key, ...config.apiKeys.jwt.extraKeys]) : undefined;
  return {
    ...plane,
    config,
    shownSettings,
    tunnels,
    olderTokens: older,
    dial: createDial(createTunnelDial({ db, clock, older, own: tunnels })),
  };
}

/** A play that holds more is ended: its node answers without end. A play on a healthy node holds 82 MB. */
const PLAY_MEMORY_MB = 256;

/** Opens the resources for work on nodes. Throws if the configuration was read for roles that do no such work. */
export function openWorkPlane(plane: ControlPlane): WorkPlane {
  const { clock, logger, config, dial } = plane;
  if (config.ssh === null) {
    throw new Error('the key for nodes was not read');
  }
  const session = { dial, username: config.ssh.managementUser, privateKey: config.ssh.privateKey };
  const keeping: PooledSessionsSettings = { ...session, ...POOLED_SESSIONS, clock };
  const sessions = createPooledSessions(keeping);
  plane.closer.push('sessions', () => sessions.close());
  const provisioner = createAnsibleProvisioner({
    privateKeyFile: config.ssh.privateKeyFile,
    privateKey: config.ssh.privateKey,
    managementUser: config.ssh.managementUser,
    playbooksDir: join(packageRoot(), 'playbooks'),
    concurrency: config.work.playConcurrency,
    deadlineSeconds: config.work.playTimeoutSeconds,
    memoryLimitMb: PLAY_MEMORY_MB,
    prefork: config.work.prefork ? { sessions, openSessions: () => createPooledSessions(keeping) } : undefined,
    dial,
    clock,
    logger,
  });
  plane.closer.push('plays', () => provisioner.close());
  sweepStalePlays().then(
    (swept) => swept > 0 && logger.info('removed what killed processes left of their plays', { swept }),
    (error: unknown) => logger.warn('stale plays could not be removed', { reason: messageOf(error) }),
  );
  return { ...plane, provisioner, session, sessions, homes: openHomes(config, session) };
}

function openHomes({ checkpoints }: Readonly<ControlPlaneConfig>, session: SessionSettings): Homes | null {
  return checkpoints?.keyFile === undefined
    ? null
    : createHomes({ session, store: createDirectoryStore(checkpoints.directory), cipher: createAge(checkpoints.keyFile) });
}

/** Creates the context for the flows of one role. */
export function createFlowContext({ db, clock, logger, metrics, config }: ControlPlane, actor: string): FlowContext {
  return { db, clock, logger: logger.child({ actor }), metrics, actor, settings: toSettings(config) };
}

/** Creates the context for the flows of one role that work on nodes. */
export function createWorkContext(plane: WorkPlane, actor: string): WorkContext {
  const { provisioner, homes } = plane;
  return { ...createFlowContext(plane, actor), provisioner, homes };
}

/** Failures in a row until a node is quarantined. With the pauses between them a node has minutes to recover by itself. */
const MAX_FAILURES = { maxWipeFailures: 5, maxProvisionFailures: 3 };
/** Failed probes in a row that are a death (R20). */
const DEAD_AFTER_FAILURES = 3;
/** Machines that wait for an approval; an eighth of them from one network. An operator compares each fingerprint: more use a join token. */
const MAX_PENDING_NODES = 200;
/** Claims for each play that can run. More work is claimed than can run at once, so that no play slot stays empty. */
const CLAIMED_PER_PLAY = 2;

function toSettings(config: Readonly<ControlPlaneConfig>): FlowSettings {
  const { probe, work, heartbeat, retry, intervals, checkpoints } = config;
  return {
    claimSeconds: work.claimSeconds,
    rentWaitSeconds: work.rentWaitSeconds,
    outageSeconds: work.outageSeconds,
    historyDays: work.historyDays,
    uids: config.uids,
    health: {
      deadAfterFailures: DEAD_AFTER_FAILURES,
      intervalSeconds: probe.intervalSeconds,
      suspectIntervalSeconds: probe.suspectIntervalSeconds,
    },
    heartbeatOverdueSeconds: heartbeat.overdueSeconds,
    migrateIntervalSeconds: intervals.migrateSeconds,
    maxPendingNodes: MAX_PENDING_NODES,
    retry,
    ...MAX_FAILURES,
    gatewayKey: config.gateway.publicKey ?? null,
    gatewayOnly: config.gateway.only,
    checkpoints: checkpoints && { intervalSeconds: checkpoints.intervalSeconds, maxBytes: checkpoints.maxBytes },
    jobs: {
      watchSeconds: intervals.watchSeconds,
      expireSeconds: intervals.expireSeconds,
      workSeconds: intervals.workSeconds,
      playsClaimed: work.playConcurrency * CLAIMED_PER_PLAY,
      probesAtOnce: probe.concurrency,
    },
  };
}

/** Runs the jobs of a role and writes reports on them to the database. */
export const runJobs = ({ db, clock, logger, metrics }: Plane, role: string, jobs: readonly BoundJob[]): RunningJobs =>
  startJobs({ clock, logger, metrics, write: createReportWriter(db, role) }, jobs);

const WAIT_MS = 1_000;

/**
 * Waits until the database answers and has every migration that this program knows. Meanwhile readiness reports the reason. A schema with
 * more migrations is accepted: it belongs to a newer version, which only adds to it. Gives up only when `signal` aborts.
 */
export async function waitForSchema({ db, clock, logger, readiness }: Plane, signal: AbortSignal): Promise<void> {
  const migrator = createMigrator(db, join(packageRoot(), 'migrations'));
  let told = '';
  while (!signal.aborted) {
    const reason = await migrator.status().then(
      ({ pending, newer }) => {
        if (pending.length > 0) {
          return 'the schema is not up to date: run `orion migrate up`';
        }
        if (newer.length > 0) {
          logger.info('schema is newer than this program', { newer });
        }
        return null;
      },
      (error: unknown) => `the database does not answer: ${messageOf(error)}`,
    );
    if (reason === null) {
      return;
    }
    readiness.set(reason);
    if (reason !== told) {
      logger.warn('waiting for the database', { reason });
      told = reason;
    }
    await clock.sleep(WAIT_MS, signal);
  }
}
