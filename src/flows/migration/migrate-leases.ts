import { type Tx, transaction } from '../../db/transaction';
import { recordEvent } from '../../modules/audit';
import { findFinalBackup, judgeFinalBackup, wantCheckpoint } from '../../modules/checkpoints';
import type { QueueJob } from '../../modules/jobs';
import {
  type ClaimedPlacement,
  findCause,
  type Lease,
  lockDueMigration,
  markWaiting,
  MIGRATIONS,
  postponeMigration,
  reactivateLease,
  stopWaiting,
} from '../../modules/leases';
import { inTrace } from '../../lib/trace';
import { claimFreeNode, lockNode, LOST, type Node } from '../../modules/nodes';
import type { WorkContext } from '../support/context';
import { moveLease } from '../leases/move-lease';
import { runPlacement } from '../placements/run-placement';
import { failpoint } from '../support/failpoints';
import { judgeBreaker } from './watch-fleet';
import { isBusy } from '../support/when-free';

/**
 * The outcome for the lease that has waited longest. `none`: no lease is due. `busy`: other transactions are claiming the free nodes, so
 * the caller tries again soon. `saving`: the final backup comes first.
 */
export type MigrationStep =
  { outcome: 'none' | 'waiting' | 'not_needed' | 'breaker_open' | 'busy' | 'saving' } | { outcome: 'moved'; placement: ClaimedPlacement };

/** Outcomes after which another lease may be due. */
const GOES_ON: readonly MigrationStep['outcome'][] = ['moved', 'waiting', 'saving', 'not_needed'];

/** Moves leases off lost and drained nodes. A pass takes one lease, so that its placement starts before the other leases are moved. */
export const migrateJob: QueueJob<WorkContext, ClaimedPlacement> = {
  name: 'migrate',
  description: 'moves leases off nodes that are lost or are to be left',
  period: ({ settings }) => Math.min(settings.migrateIntervalSeconds, settings.jobs.workSeconds),
  concurrency: ({ settings }) => settings.jobs.playsClaimed,
  queue: MIGRATIONS,
  claim: async (ctx) => {
    const step = await migrateNextLease(ctx);
    return { claims: step.outcome === 'moved' ? [step.placement] : [], next: GOES_ON.includes(step.outcome) ? 'more' : 'done' };
  },
  run: (ctx, placement) => runPlacement(ctx, placement),
  causeOf: ({ cause }) => cause,
};

/**
 * R21: takes one lease that must leave its node and moves it. The caller then makes the returned placement present.
 *
 * If no node is free, that is logged and recorded as an event of the lease. The move is tried again until a node is free or the lease ends.
 * While the circuit breaker (I8) is open, no lease moves.
 */
export async function migrateNextLease(ctx: WorkContext): Promise<MigrationStep> {
  if (await judgeBreaker(ctx)) {
    return { outcome: 'breaker_open' };
  }
  let taken: Lease | undefined;
  try {
    failpoint('migrate.begin');
    const outcome = await transaction(ctx.db, async (tx): Promise<MigrationStep> => {
      const lease = await lockDueMigration(tx);
      taken = lease;
      return lease
        ? inTrace('migrate-leases', { causes: [await findCause(tx, lease.id)] }, () => step(tx, ctx, lease))
        : { outcome: 'none' };
    });
    if (outcome.outcome === 'moved') {
      failpoint('migrate.moved');
    }
    return outcome;
  } catch (error) {
    if (isBusy(error)) {
      return { outcome: 'busy' };
    }
    // I10: postponed, so that one lease that always fails does not block the queue.
    if (taken) {
      await postponeMigration(ctx.db, taken.id, ctx.settings.migrateIntervalSeconds);
    }
    throw error;
  }
}

const mustLeave = (node: Node | undefined): node is Node => node !== undefined && (LOST.includes(node.status) || node.drained);

async function step(tx: Tx, ctx: WorkContext, lease: Lease): Promise<MigrationStep> {
  const node = lease.occupiedNodeId === null ? undefined : await lockNode(tx, lease.occupiedNodeId);
  if (!mustLeave(node)) {
    await stay(tx, ctx, { lease, node });
    return { outcome: 'not_needed' };
  }
  if (await mustBeSavedFirst(tx, ctx, { lease, node })) {
    await postponeMigration(tx, lease.id, Math.min(SAVING_SECONDS, ctx.settings.migrateIntervalSeconds));
    return { outcome: 'saving' };
  }
  const placement = await moveLease(tx, ctx, lease);
  if (placement) {
    ctx.logger.info('lease moved', {
      leaseId: lease.id,
      fromNode: lease.occupiedNodeId,
      toNode: placement.nodeId,
      generation: placement.generation,
    });
    return { outcome: 'moved', placement };
  }
  const began = await markWaiting(tx, lease, ctx.settings.migrateIntervalSeconds);
  ctx.logger.warn('no node to move a lease to', { leaseId: lease.id, nodeId: lease.occupiedNodeId });
  if (began) {
    ctx.metrics.migrations.inc({ result: 'waiting' });
    await recordEvent(tx, {
      type: 'lease.waiting',
      actor: ctx.actor,
      leaseId: lease.id,
      nodeId: lease.occupiedNodeId ?? undefined,
      userId: lease.userId,
    });
  }
  return { outcome: 'waiting' };
}

/** How often a planned move checks whether the final backup is done. */
const SAVING_SECONDS = 0.5;

/**
 * Whether a planned move has to wait for its final backup. The old node still answers. As soon as another node is free, the backup saves
 * what was written since the last home backup.
 */
async function mustBeSavedFirst(tx: Tx, ctx: WorkContext, { lease, node }: { lease: Lease; node: Node }): Promise<boolean> {
  if (!ctx.settings.checkpoints || LOST.includes(node.status) || (await claimFreeNode(tx, lease.requirements)).found !== 'one') {
    return false;
  }
  const finalBackup = await findFinalBackup(tx, lease.id);
  const decision = finalBackup ? judgeFinalBackup(finalBackup) : 'go';
  if (decision === 'ask') {
    await wantCheckpoint(tx, lease.id);
  }
  return decision !== 'go';
}

/**
 * Handles a lease whose node is not lost after all. If the node is alive (for example, its drain was undone), the lease resumes. If its
 * health is not known yet, the lease is checked again later.
 */
async function stay(tx: Tx, ctx: WorkContext, { lease, node }: { lease: Lease; node: Node | undefined }): Promise<void> {
  if (node?.status !== 'alive') {
    await postponeMigration(tx, lease.id, ctx.settings.migrateIntervalSeconds);
    return;
  }
  await stopWaiting(tx, lease.id);
  if (await reactivateLease(tx, lease.id)) {
    await recordEvent(tx, { type: 'lease.resumed', actor: ctx.actor, leaseId: lease.id, nodeId: node.id, userId: lease.userId });
  }
}
