import { type Tx, transaction } from '../../db/transaction';
import { messageOf } from '../../lib/errors';
import type { PassResult } from '../../lib/loop';
import { recordEvent } from '../../modules/audit';
import {
  type Archive,
  chainWith,
  CHECKPOINTS,
  type ClaimedCheckpoint,
  claimDueCheckpoints,
  type Home,
  type Homes,
  type Plan,
  planFull,
  planNext,
  postponeCheckpoint,
  renewCheckpoint,
  selectForgotten,
  completeCheckpoint,
  failCheckpoint,
  completeRemoval,
  StateMissingError,
  TooLargeError,
} from '../../modules/checkpoints';
import { claimed, type QueueJob, type SweepJob } from '../../modules/jobs';
import { findLease, isRunning, type Lease } from '../../modules/leases';
import { LOST, targetOf } from '../../modules/nodes';
import type { CheckpointSettings, FlowContext } from '../support/context';
import { ClaimLostError, keepClaim } from '../support/keep-claim';
import { failpoint } from '../support/failpoints';
import { viewLeases } from '../leases/view-lease';

export interface CheckpointContext extends FlowContext {
  homes: Homes;
  checkpoints: CheckpointSettings;
}

const SWEEP_SECONDS = 600;

export const checkpointJob: QueueJob<CheckpointContext & { concurrency: number }, ClaimedCheckpoint> = {
  name: 'checkpoint',
  description: 'saves homes of running leases, and removes those of leases that are over',
  period: ({ settings }) => settings.jobs.workSeconds,
  concurrency: ({ concurrency }) => concurrency,
  queue: CHECKPOINTS,
  claim: (ctx, room) => claimCheckpoints(ctx, room).then(claimed),
  run: checkpointHome,
};

export const checkpointSweepJob: SweepJob<CheckpointContext> = {
  name: 'checkpoint-sweep',
  description: 'removes stored homes that no running lease has',
  period: () => SWEEP_SECONDS,
  sweep: sweepCheckpoints,
};

export function claimCheckpoints(ctx: CheckpointContext, limit: number): Promise<ClaimedCheckpoint[]> {
  return transaction(ctx.db, (tx) => claimDueCheckpoints(tx, limit, ctx.settings.claimSeconds));
}

/**
 * Makes the store agree with a claimed lease. A running lease gets a new home backup; the backups of a lease that is over are removed.
 * Never throws for a fault of a node or a tenant.
 */
export async function checkpointHome(ctx: CheckpointContext, claim: ClaimedCheckpoint): Promise<void> {
  failpoint('checkpoint.claimed');
  const lease = await findLease(ctx.db, claim.leaseId);
  if (!lease || !isRunning(lease.state)) {
    await removeCheckpoints(ctx, claim);
    return;
  }
  const found = await findHome(ctx, lease);
  if (!found) {
    await postponeCheckpoint(ctx.db, claim, ctx.checkpoints.intervalSeconds);
    return;
  }
  await saveHome(ctx, { claim, lease, ...found });
}

/** Returns the home of the lease's current account. Undefined if the account is not present or its node cannot be reached. */
async function findHome(ctx: CheckpointContext, lease: Lease): Promise<{ home: Home; nodeId: number } | undefined> {
  const [{ placement, node } = { placement: null, node: null }] = await viewLeases(ctx.db, [lease]);
  if (placement?.state !== 'present' || !node || LOST.includes(node.status)) {
    return undefined;
  }
  return { nodeId: node.id, home: { target: targetOf(node), username: placement.username, uid: placement.uid } };
}

interface Saving {
  claim: ClaimedCheckpoint;
  lease: Lease;
  home: Home;
  nodeId: number;
}

async function saveHome(ctx: CheckpointContext, saving: Saving): Promise<void> {
  const { claim, lease, nodeId } = saving;
  const logger = ctx.logger.child({ leaseId: lease.id, nodeId });
  const startedAt = ctx.clock.monotonicMs();
  let archives: Archive[];
  try {
    archives = await keepClaim(
      ctx,
      () => renewCheckpoint(ctx.db, claim, ctx.settings.claimSeconds),
      (signal) => archiveHome(ctx, saving, signal),
    );
  } catch (error) {
    const lost = error instanceof ClaimLostError;
    ctx.metrics.checkpoints.inc({ result: lost ? 'lost' : 'failed' });
    logger.warn(lost ? 'checkpoint taken by another' : 'checkpoint failed', { reason: messageOf(error) });
    if (!lost) {
      await transaction(ctx.db, (tx) => recordFailure(tx, ctx, { ...saving, message: messageOf(error) }));
    }
    return;
  }
  failpoint('checkpoint.stored');
  const completed = await transaction(ctx.db, async (tx) => {
    const changed = await completeCheckpoint(tx, claim, { archives, seconds: ctx.checkpoints.intervalSeconds });
    failpoint('checkpoint.commit');
    return changed;
  });
  failpoint('checkpoint.done');
  ctx.metrics.checkpoints.inc({ result: completed ? 'ok' : 'lost' });
  if (!completed) {
    await ctx.homes.tidy(lease.id, { number: claim.number, chain: claim.archives });
    return;
  }
  ctx.metrics.checkpointSeconds.observe((ctx.clock.monotonicMs() - startedAt) / 1000);
  ctx.metrics.checkpointBytes.inc(archives.at(-1)?.bytes ?? 0);
  await ctx.homes.tidy(lease.id, { number: claim.number, chain: archives });
}

/** Saves the changes, or the whole home if the changes cannot be had. Returns the chain of archives that a restore needs from then on. */
async function archiveHome(
  { homes, checkpoints }: CheckpointContext,
  { claim, lease, home }: Saving,
  signal: AbortSignal,
): Promise<Archive[]> {
  const order = { leaseId: lease.id, generation: lease.generation, number: claim.number };
  // The store may have been emptied.
  const chain = (await homes.holds(lease.id, claim.archives)) ? claim.archives : [];
  const plan = planNext(chain, { generation: lease.generation, maxBytes: checkpoints.maxBytes });
  const save = (how: Plan): Promise<Archive> => homes.save(home, { ...order, ...how }, signal);
  try {
    return chainWith(chain, await save(plan));
  } catch (error) {
    if (plan.base === null || !(error instanceof StateMissingError || error instanceof TooLargeError)) {
      throw error;
    }
    return chainWith(chain, await save(planFull(checkpoints.maxBytes)));
  }
}

/** Limit of the backoff after failures, in intervals. A tenant who makes the own home backups fail must not delay those of others. */
const MAX_BACKOFF = 8;

async function recordFailure(
  tx: Tx,
  ctx: CheckpointContext,
  { claim, lease, nodeId, message }: Saving & { message: string },
): Promise<void> {
  const seconds = ctx.checkpoints.intervalSeconds * Math.min(2 ** claim.failures, MAX_BACKOFF);
  if ((await failCheckpoint(tx, claim, { message, seconds })) && claim.failures === 0) {
    await recordEvent(tx, {
      type: 'checkpoint.failed',
      actor: ctx.actor,
      leaseId: lease.id,
      nodeId,
      userId: lease.userId,
      data: { message: message.slice(0, 300) },
    });
  }
}

async function removeCheckpoints(ctx: CheckpointContext, claim: ClaimedCheckpoint): Promise<void> {
  const removed = await ctx.homes.remove(claim.leaseId);
  const completed = await transaction(ctx.db, async (tx) => {
    const held = await completeRemoval(tx, claim);
    if (held && (removed.files > 0 || claim.archives.length > 0)) {
      await recordEvent(tx, { type: 'checkpoint.removed', actor: ctx.actor, leaseId: claim.leaseId, data: { ...removed } });
    }
    return held;
  });
  ctx.logger.info(completed ? 'checkpoints removed' : 'checkpoints removed by another', { leaseId: claim.leaseId, ...removed });
}

/** Removes stored homes of leases that are over or unknown. A process that was frozen, or a restored database, can leave them behind. */
export async function sweepCheckpoints(ctx: CheckpointContext): Promise<PassResult> {
  for (const leaseId of await selectForgotten(ctx.db, await ctx.homes.listLeases())) {
    const removed = await ctx.homes.remove(leaseId);
    await recordEvent(ctx.db, { type: 'checkpoint.removed', actor: ctx.actor, leaseId, data: { ...removed, note: 'left over' } });
    ctx.logger.warn('checkpoints of a lease that is over were left over', { leaseId, ...removed });
  }
  return 'done';
}
