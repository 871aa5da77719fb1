import { ConfigError } from '../config/env';
import { type CheckpointContext, checkpointHome, claimCheckpoints, sweepCheckpoints } from '../flows/placements/checkpoint-home';
import type { WorkContext } from '../flows/support/context';
import { expireLeases } from '../flows/leases/expire-leases';
import { createKeptProbes, type KeptProbes } from '../flows/health/keep-probes';
import { type MigrationStep, migrateNextLease } from '../flows/moves/migrate-leases';
import { expirePending } from '../flows/enrolment/pending-nodes';
import { claimProbes, probeNode } from '../flows/health/probe-node';
import { claimPlacements, runPlacement } from '../flows/placements/run-placement';
import { watchFleet } from '../flows/moves/watch-fleet';
import { claimWipes, wipeNode } from '../flows/placements/wipe-node';
import { createLoop, type Loop, type PassResult } from '../lib/loop';
import { refreshOutdatedAccounts } from '../modules/leases';
import { createWorkPool, type WorkPool } from '../lib/work-pool';
import { createKeptSessions, createProber } from '../ssh';
import { countPasses } from '../modules/telemetry';
import { createWorkContext, type WorkPlane } from './control-plane';
import type { RunningRole } from './role';

/** Plays beyond those that run at once are claimed too, so that none of the runner's places is empty. */
const QUEUED_PER_PLAY = 2;
const PROBE_PASS_MS = 250;
const SWEEP_SECONDS = 600;
/** How long an account stays as another release left it. */
const OUTDATED_SECONDS = 10;
const OUTDATED_MAX = 500;
const PENDING_SECONDS = 60;
/** After these another lease may be due. */
const GOES_ON: readonly MigrationStep['outcome'][] = ['moved', 'waiting', 'saving', 'not_needed'];

/** Claims as much as there is room for and starts it. A pool that was full nudges its loop when it has room again. */
async function fill<T>(pool: WorkPool, claim: (room: number) => Promise<T[]>, work: (claimed: T) => Promise<void>): Promise<PassResult> {
  const room = pool.room();
  if (room === 0) {
    return 'done';
  }
  const claimed = await claim(room);
  for (const item of claimed) {
    pool.start(() => work(item));
  }
  return 'done';
}

/** Null: checkpoints are off. Throws when they are on and the key for them is missing. */
function createCheckpointContext({ config: { checkpoints }, homes }: WorkPlane, ctx: WorkContext): (CheckpointContext & { concurrency: number }) | null {
  if (checkpoints && !homes) {
    throw new ConfigError(['ORION_CHECKPOINT_KEY_FILE: a scheduler needs it when ORION_CHECKPOINT_DIR is set']);
  }
  return checkpoints && homes && { ...ctx, homes, checkpoints, concurrency: checkpoints.concurrency };
}

type MakeLoop = (name: string, seconds: number, pass: () => Promise<PassResult>) => Loop;

/** Kept connections, in front of the probes that log in. */
function keepProbes({ config: { probe }, session, sessions: ofPlays, clock }: WorkPlane, ctx: WorkContext, { loop, onSuspect }: { loop: MakeLoop; onSuspect: () => void }): KeptProbes {
  const timeoutMs = probe.timeoutSeconds * 1000;
  const sessions = createKeptSessions({ ...session, clock, loginTimeoutMs: timeoutMs, idleMs: Infinity, max: probe.maxKept });
  ofPlays.borrowFrom(sessions);
  const kept = createKeptProbes({ ...ctx, sessions }, { max: probe.maxKept, timeoutMs, deepCheckSeconds: probe.deepCheckSeconds, onSuspect, onLost: () => beats.nudge() });
  const passOf = (work: () => Promise<void>) => async (): Promise<PassResult> => {
    await work();
    return 'done';
  };
  loop('shards', kept.lookSeconds, passOf(() => kept.look()));
  const beats = loop('kept-probe', kept.beatSeconds, passOf(() => kept.beat()));
  return kept;
}

/** The self-healing: every loop by claim, work, settle, so that any number of schedulers share the work (R25). */
export function startScheduler(plane: WorkPlane): RunningRole {
  const { config, clock, logger, metrics } = plane;
  const { intervals, probe, work } = config;
  const ctx = createWorkContext(plane, 'scheduler');
  const saving = createCheckpointContext(plane, ctx);
  const prober = createProber({ ...plane.session, timeoutMs: probe.timeoutSeconds * 1000, clock });
  const loops: Loop[] = [];
  const loop: MakeLoop = (name, seconds, pass) => {
    const made = createLoop({ name, intervalMs: seconds * 1000, clock, logger, pass, onPass: countPasses(metrics, name) });
    loops.push(made);
    return made;
  };
  const pools: WorkPool[] = [];
  const workers = (name: string, options: { size: number; seconds: number }, pass: (pool: WorkPool) => Promise<PassResult>): Loop => {
    const pool: WorkPool = createWorkPool(options.size, logger, () => refill.nudge());
    const refill = loop(name, options.seconds, () => pass(pool));
    pools.push(pool);
    return refill;
  };

  const plays = work.playConcurrency * QUEUED_PER_PLAY;
  const probeContext = { ...ctx, prober };
  const round = { after: 0 };
  loop('watch', intervals.watchSeconds, () => watchFleet(ctx, round).then(() => 'done' as const));
  loop('expire', intervals.expireSeconds, () => expireLeases(ctx));
  loop('pending', PENDING_SECONDS, () => expirePending(ctx));
  workers('wipe', { size: plays, seconds: intervals.workSeconds }, (pool) =>
    fill(pool, (room) => claimWipes(ctx, room), (claim) => wipeNode(ctx, claim)));
  workers('placement', { size: plays, seconds: intervals.workSeconds }, (pool) =>
    fill(pool, (room) => claimPlacements(ctx, room), (claim) => runPlacement(ctx, claim)));
  loop('outdated-accounts', OUTDATED_SECONDS, async () => ((await refreshOutdatedAccounts(ctx.db, OUTDATED_MAX)) === OUTDATED_MAX ? 'more' : 'done'));
  const migrate = workers('migrate', { size: plays, seconds: Math.min(intervals.migrateSeconds, intervals.workSeconds) }, async (pool) => {
    if (pool.room() === 0) {
      return 'done';
    }
    const step = await migrateNextLease(ctx);
    if (step.outcome === 'moved') {
      const { placement } = step;
      pool.start(() => runPlacement(ctx, placement));
    }
    return GOES_ON.includes(step.outcome) ? 'more' : 'done';
  });
  const probing = workers('probe', { size: probe.concurrency, seconds: PROBE_PASS_MS / 1000 }, (pool) =>
    fill(pool, (room) => claimProbes(probeContext, room), (claim) => probeNode(probeContext, claim).then((died) => (died ? migrate.nudge() : undefined))));
  const kept = probe.kept ? keepProbes(plane, ctx, { loop, onSuspect: () => probing.nudge() }) : undefined;
  if (saving) {
    workers('checkpoint', { size: saving.concurrency, seconds: intervals.workSeconds }, (pool) =>
      fill(pool, (room) => claimCheckpoints(saving, room), (claim) => checkpointHome(saving, claim)));
    loop('checkpoint-sweep', SWEEP_SECONDS, () => sweepCheckpoints(saving));
  }

  loops.forEach((each) => each.start());
  logger.info('scheduling', { probeIntervalSeconds: probe.intervalSeconds });
  return {
    stop: async () => {
      await Promise.all(loops.map((each) => each.stop()));
      await Promise.all(pools.map((pool) => pool.idle()));
      await kept?.stop();
    },
  };
}
