import { join } from 'node:path';
import type { Knex } from 'knex';
import type { ControlPlaneConfig } from '../config/control-plane';
import { createDatabase } from '../db/connection';
import { createMigrator } from '../db/migrate';
import type { FlowContext, FlowSettings, WorkContext } from '../flows/support/context';
import { type Clock, systemClock } from '../lib/clock';
import { type Closer, createCloser } from '../lib/closer';
import { messageOf } from '../lib/errors';
import { createLogger, type Logger } from '../lib/logger';
import { packageRoot } from '../lib/package-root';
import { createReadiness, type Readiness } from '../lib/readiness';
import { createWinstonSink } from '../lib/winston-sink';
import { newClaimToken } from '../lib/ids';
import { createAge, createDirectoryStore, createHomes, type Homes } from '../modules/checkpoints';
import { type BoundJob, createReportWriter, type RunningJobs, startJobs } from '../modules/jobs';
import { createAnsibleProvisioner, type Provisioner, sweepStalePlays } from '../modules/provisioning';
import { createMetrics, type Metrics } from '../modules/telemetry';
import { createTunnelDial, createTunnelHub, olderTokens, type OlderTokens, type TunnelHub } from '../modules/tunnels';
import { createDial, createPooledSessions, type Dial, type PooledSessions, type PooledSessionsSettings, type SessionSettings } from '../ssh';

/** What every role has that works on the database. */
export interface Plane {
  db: Knex;
  /** Connections of their own for what only reads and locks nothing: it never waits behind claims that are blocked. */
  reads: Knex;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  readiness: Readiness;
  closer: Closer;
}

/** What the roles of one control-plane process share. */
export interface ControlPlane extends Plane {
  config: Readonly<ControlPlaneConfig>;
  /** The tunnels of this process: none unless it is an API replica. */
  tunnels: { holderId: string; hub: TunnelHub };
  /** Of an API: how it and those of the release before know each other. */
  olderTokens: OlderTokens | undefined;
  /** To any node, directly or through its tunnel, whoever holds that. */
  dial: Dial;
}

/** What the roles share that work on nodes: they have the key for it. */
export interface WorkPlane extends ControlPlane {
  provisioner: Provisioner;
  /** How a node is logged in to. */
  session: SessionSettings;
  /** Over which plays run. */
  sessions: PooledSessions;
  /** Null: checkpoints are off, or this process has no key for them. */
  homes: Homes | null;
}

/** Beside those of ORION_DB_POOL; opened when they are needed. Reads are short: these few serve a thousand a second. */
const READ_CONNECTIONS = 4;

export function openPlane(config: Readonly<Pick<ControlPlaneConfig, 'logLevel' | 'database'>>, roles: string[]): Plane {
  const logger = createLogger(config.logLevel, createWinstonSink(), { role: roles.join(',') });
  const closer = createCloser(logger);
  const db = createDatabase(config.database);
  closer.push('database', () => db.destroy());
  const reads = createDatabase({ ...config.database, poolSize: READ_CONNECTIONS });
  closer.push('reads', () => reads.destroy());
  return { db, reads, clock: systemClock, logger, metrics: createMetrics(), readiness: createReadiness(), closer };
}

/** About 40 KB of memory each. */
const POOLED_SESSIONS = { loginTimeoutMs: 10_000, idleMs: 600_000, max: 1_000 };

export function openControlPlane(config: Readonly<ControlPlaneConfig>, roles: string[]): ControlPlane {
  const plane = openPlane(config, roles);
  const { db, clock, logger } = plane;
  const tunnels = { holderId: newClaimToken(), hub: createTunnelHub({ clock, logger }) };
  const older = config.apiKeys ? olderTokens([config.apiKeys.jwt.key, ...config.apiKeys.jwt.extraKeys]) : undefined;
  return { ...plane, config, tunnels, olderTokens: older, dial: createDial(createTunnelDial({ db, clock, older, own: tunnels })) };
}

/** Throws when the configuration was read for roles that do no work on nodes. */
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
    memoryLimitMb: config.work.playMemoryMb,
    warm: config.work.warmPlays ? { sessions, openSessions: () => createPooledSessions(keeping) } : undefined,
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
  return checkpoints?.keyFile === undefined ? null : createHomes({ session, store: createDirectoryStore(checkpoints.directory), cipher: createAge(checkpoints.keyFile) });
}

/** The context in which the flows of one role run. */
export function createFlowContext({ db, clock, logger, metrics, config }: ControlPlane, actor: string): FlowContext {
  return { db, clock, logger: logger.child({ actor }), metrics, actor, settings: toSettings(config) };
}

/** The same for flows that work on nodes. */
export function createWorkContext(plane: WorkPlane, actor: string): WorkContext {
  const { provisioner, homes } = plane;
  return { ...createFlowContext(plane, actor), provisioner, homes };
}

/** Plays beyond those that run at once are claimed too, so that none of the runner's places is empty. */
const CLAIMED_PER_PLAY = 2;

function toSettings(config: Readonly<ControlPlaneConfig>): FlowSettings {
  const { probe, work, heartbeat, retry, intervals, maxWipeFailures, maxProvisionFailures, checkpoints } = config;
  return {
    claimSeconds: work.claimSeconds,
    rentWaitSeconds: work.rentWaitSeconds,
    outageSeconds: work.outageSeconds,
    uids: config.uids,
    health: { deadAfterFailures: probe.deadAfterFailures, intervalSeconds: probe.intervalSeconds, suspectIntervalSeconds: probe.suspectIntervalSeconds },
    heartbeatOverdueSeconds: heartbeat.overdueSeconds,
    migrateIntervalSeconds: intervals.migrateSeconds,
    maxPendingNodes: config.maxPendingNodes,
    retry,
    maxWipeFailures,
    maxProvisionFailures,
    gatewayKey: config.gateway.publicKey ?? null,
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

/** Runs the jobs of a role, and reports what they do to the database. */
export const runJobs = ({ db, clock, logger, metrics }: Plane, role: string, jobs: readonly BoundJob[]): RunningJobs =>
  startJobs({ clock, logger, metrics, write: createReportWriter(db, role) }, jobs);

const WAIT_MS = 1_000;

/**
 * Waits until the database answers and has every migration that this program knows; meanwhile readiness says why not. A schema with more migrations is fine: it
 * belongs to a newer version, which only adds to it. Gives up only when `signal` aborts.
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
