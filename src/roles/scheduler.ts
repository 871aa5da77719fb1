import { ConfigError } from '../config/env';
import { type CheckpointContext, checkpointJob, checkpointSweepJob } from '../flows/placements/checkpoint-home';
import type { WorkContext } from '../flows/support/context';
import { expireJob } from '../flows/leases/expire-leases';
import { createKeepaliveProbes, keepaliveProbeJob, type KeepaliveProbes, shardsJob } from '../flows/health/keepalive-probes';
import { firstPruneRound, pruneJob } from '../flows/leases/prune-history';
import { migrateJob } from '../flows/migration/migrate-leases';
import { outdatedAccountsJob } from '../flows/placements/outdated-accounts';
import { newSealState, type SealContext, sealJob } from '../flows/audit/seal-events';
import { createLeaderElection } from '../flows/support/leader-election';
import { pendingJob } from '../flows/enrolment/pending-nodes';
import { probeJob } from '../flows/health/probe-node';
import { placementJob } from '../flows/placements/run-placement';
import { watchJob } from '../flows/migration/watch-fleet';
import { wipeJob } from '../flows/placements/wipe-node';
import { messageOf } from '../lib/errors';
import { bind, type RunningJobs } from '../modules/jobs';
import { createPooledSessions, createProber, signingKeyOf } from '../ssh';
import { createWorkContext, runJobs, type WorkPlane } from './control-plane';
import type { RunningRole } from './role';

/** Home backups at once in one scheduler. They can wait: few of them leave CPU and network to probes and plays. */
const CHECKPOINTS_AT_ONCE = 2;
/** Sessions that one scheduler keeps, at about 40 KB of memory each. It logs in to further nodes. */
const MAX_KEEPALIVE_PROBES = 10_000;
/** Probe intervals after which a scheduler logs in to a node anew: ten minutes by default. */
const DEEP_CHECK_INTERVALS = 20;

/** Creates the context of the home backups. Null: they are off. Throws if they are on and their key is missing. */
function createCheckpointContext({ config: { checkpoints }, homes }: WorkPlane, ctx: WorkContext): CheckpointContext | null {
  if (checkpoints && !homes) {
    throw new ConfigError(['ORION_CHECKPOINT_KEY_FILE: a scheduler needs it when ORION_CHECKPOINT_DIR is set']);
  }
  return checkpoints && homes && { ...ctx, homes, checkpoints };
}

/** Creates the keepalive probes, which save full-login probes. Plays may borrow their pooled sessions. */
function keepProbes(plane: WorkPlane, ctx: WorkContext, wake: (job: { name: string }) => void): KeepaliveProbes {
  const {
    config: { probe },
    session,
    sessions: ofPlays,
    clock,
  } = plane;
  const timeoutMs = probe.timeoutSeconds * 1000;
  const sessions = createPooledSessions({ ...session, clock, loginTimeoutMs: timeoutMs, idleMs: Infinity, max: MAX_KEEPALIVE_PROBES });
  ofPlays.borrowFrom(sessions);
  const wakes = { onSuspect: () => wake(probeJob), onLost: () => wake(keepaliveProbeJob) };
  return createKeepaliveProbes(
    { ...ctx, sessions },
    { max: MAX_KEEPALIVE_PROBES, timeoutMs, deepCheckSeconds: probe.intervalSeconds * DEEP_CHECK_INTERVALS, ...wakes },
  );
}

/** Another scheduler seals the audit log after this time without a renewal. */
const SEAL_LEADER_SECONDS = 15;

/** Creates the context of the seal of the audit log. Undefined: this process has no key. Throws if the key cannot be read. */
function createSealContext({ config: { auditKey }, db, clock, logger }: WorkPlane): SealContext | undefined {
  if (auditKey === undefined) {
    logger.warn('audit log not sealed: ORION_AUDIT_KEY_FILE is not set', {});
    return undefined;
  }
  try {
    const lead = createLeaderElection({ db, clock, logger }, { name: 'seal', limitSeconds: SEAL_LEADER_SECONDS });
    return { db, clock, logger, key: signingKeyOf(auditKey), lead, state: newSealState() };
  } catch (error) {
    throw new ConfigError([`ORION_AUDIT_KEY: ${messageOf(error)}`]);
  }
}

/**
 * Starts the jobs of the scheduler, which repair the system. Every job claims work, does it, and completes or fails the claim, so that any
 * number of schedulers share the work (R25).
 */
export function startScheduler(plane: WorkPlane): RunningRole {
  const {
    clock,
    config: { probe },
    logger,
  } = plane;
  const ctx = createWorkContext(plane, 'scheduler');
  const saving = createCheckpointContext(plane, ctx);
  const sealing = createSealContext(plane);
  const prober = createProber({ ...plane.session, timeoutMs: probe.timeoutSeconds * 1000, clock });
  const wake = ({ name }: { name: string }): void => jobs.wake(name);
  const probes = probe.kept ? keepProbes(plane, ctx, wake) : undefined;
  const jobs: RunningJobs = runJobs(plane, 'scheduler', [
    bind(watchJob, { ...ctx, round: { after: 0 } }),
    bind(expireJob, ctx),
    bind(pendingJob, ctx),
    bind(pruneJob, { ...ctx, round: firstPruneRound() }),
    bind(wipeJob, ctx),
    bind(placementJob, ctx),
    bind(outdatedAccountsJob, ctx),
    bind(migrateJob, ctx),
    bind(probeJob, { ...ctx, prober, onDeath: () => wake(migrateJob) }),
    ...(probes ? [bind(shardsJob, probes), bind(keepaliveProbeJob, probes)] : []),
    ...(saving ? [bind(checkpointJob, { ...saving, concurrency: CHECKPOINTS_AT_ONCE }), bind(checkpointSweepJob, saving)] : []),
    ...(sealing ? [bind(sealJob, sealing)] : []),
  ]);
  logger.info('scheduling', { probeIntervalSeconds: probe.intervalSeconds });
  return {
    stop: async () => {
      await jobs.stop();
      await sealing?.lead
        .handBack()
        .catch((error: unknown) => logger.warn('lead not handed back', { lead: 'seal', reason: messageOf(error) }));
      await probes?.stop();
    },
  };
}
