import { type Batch, type Tx, transaction } from '../../db/transaction';
import { messageOf } from '../../lib/errors';
import { recordEvent } from '../../modules/audit';
import { bytesOf, type Checkpoint, type Homes, listCheckpoints, RestoreError, tellCheckpointError } from '../../modules/checkpoints';
import { type ClaimedPlacement, isRunning, type Lease, lockLease, renewPlacement } from '../../modules/leases';
import { claimFreeNode } from '../../modules/nodes';
import { type NodeTarget, ProvisioningError } from '../../modules/provisioning';
import { HostKeyChangedError } from '../../ssh';
import type { WorkContext } from '../support/context';
import { moveLease } from '../leases/move-lease';
import { NodesBusyError, whenFree } from '../support/when-free';

export interface Restored {
  checkpoint: Checkpoint;
  /** What could not be restored, or null. */
  fault: string | null;
  /** The archives are whole, so another node may be able to take what this one could not. */
  elsewhere: boolean;
}

const ATTEMPTS = 2;
/** A lease that has gone through as many nodes since its last checkpoint stays, with what could be had of its home. */
const MAX_NODES = 3;

/**
 * Puts the last checkpoint of a lease into the home that was just made for it on another node; null when there is nothing to do. What cannot be
 * restored does not keep the lease waiting for ever: after another attempt, and on other nodes if the archives are whole, it goes on with what could
 * be had, and is told. A node that cannot be worked on is a failure like any other of its account's making (ProvisioningError).
 */
export async function restoreHome(ctx: WorkContext, { placement, target }: { placement: ClaimedPlacement; target: NodeTarget }, signal: AbortSignal): Promise<Restored | null> {
  // A home that a tenant has been in is newer than any checkpoint: its node has but come back.
  if (!ctx.homes || placement.generation === 1 || !placement.untouched) {
    return null;
  }
  const [checkpoint] = await listCheckpoints(ctx.db, [placement.leaseId]);
  if (!checkpoint || checkpoint.archives.length === 0) {
    return null;
  }
  const error = await restore(ctx.homes, { placement, target, checkpoint }, signal);
  ctx.metrics.restores.inc({ result: error ? 'failed' : 'ok' });
  return { checkpoint, fault: error && error.message, elsewhere: error !== null && (await mayFitElsewhere(ctx.homes, { placement, checkpoint, error }, signal)) };
}

async function mayFitElsewhere(homes: Homes, { placement, checkpoint: { archives }, error }: { placement: ClaimedPlacement; checkpoint: Checkpoint; error: RestoreError }, signal: AbortSignal): Promise<boolean> {
  const tried = placement.generation - (archives.at(-1)?.generation ?? 0);
  return tried < MAX_NODES && !error.late && homes.areReadable({ leaseId: placement.leaseId, archives }, signal);
}

interface Restoring {
  placement: ClaimedPlacement;
  target: NodeTarget;
  checkpoint: Checkpoint;
}

async function restore(homes: Homes, { placement, target, checkpoint }: Restoring, signal: AbortSignal): Promise<RestoreError | null> {
  const { leaseId, username, uid } = placement;
  let failed: RestoreError | null = null;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      await homes.restore({ target, username, uid }, { leaseId, archives: checkpoint.archives }, signal);
      return null;
    } catch (error) {
      if (!(error instanceof RestoreError)) {
        throw new ProvisioningError(error instanceof HostKeyChangedError ? 'host_key_changed' : 'unreachable', `the home could not be restored: ${messageOf(error)}`);
      }
      failed = failed && !failed.late ? failed : error;
    }
  }
  return failed;
}

/**
 * Moves a lease whose home its node could not take to another one, before its tenant has been there. Null: there is no reason to; or no other is free, and it
 * stays with what could be had; or the placement is not this process's any more. Throws NodesBusyError (see when-free).
 */
export async function takeHomeElsewhere(ctx: WorkContext, placement: ClaimedPlacement, restored: Restored | null): Promise<ClaimedPlacement | null> {
  return restored?.elsewhere ? whenFree(ctx, () => transaction(ctx.db, (tx) => leaveUnfitNode(tx, ctx, { placement, fault: restored.fault ?? '' }))) : null;
}

async function leaveUnfitNode(tx: Tx, ctx: WorkContext, { placement, fault }: { placement: ClaimedPlacement; fault: string }): Promise<ClaimedPlacement | null> {
  const lease = await lockLease(tx, placement.leaseId);
  const isOurs = lease?.generation === placement.generation && isRunning(lease.state) && (await renewPlacement(tx, placement, ctx.settings.claimSeconds));
  const free = isOurs ? (await claimFreeNode(tx, lease.requirements)).found : 'none';
  if (free === 'busy') {
    throw new NodesBusyError();
  }
  if (!lease || free !== 'one') {
    return null;
  }
  await recordEvent(tx, {
    type: 'placement.failed',
    actor: ctx.actor,
    leaseId: lease.id,
    nodeId: placement.nodeId,
    userId: lease.userId,
    data: { failure: 'restore', message: `the home could not be restored here: ${fault}`.slice(0, 300), generation: placement.generation },
  });
  return moveLease(tx, ctx, lease);
}

export interface RestoreRecord {
  placement: ClaimedPlacement;
  lease: Lease;
  restored: Restored | null;
}

/** Records the restore of a home, in the transaction that hands the account over. */
export async function recordRestore(batch: Batch, ctx: WorkContext, { placement, lease, restored }: RestoreRecord): Promise<void> {
  if (!restored) {
    return;
  }
  const { checkpoint: { archives, lastAt, ageSeconds }, fault } = restored;
  await Promise.all([
    fault !== null && tellCheckpointError(batch, lease.id, `not all of the home could be restored: ${fault}`),
    recordEvent(batch, {
      type: fault === null ? 'checkpoint.restored' : 'checkpoint.restore_failed',
      actor: ctx.actor,
      leaseId: lease.id,
      nodeId: placement.nodeId,
      userId: lease.userId,
      data: {
        generation: placement.generation,
        saved_at: lastAt?.toISOString() ?? null,
        age_seconds: ageSeconds,
        bytes: bytesOf(archives),
        ...(fault === null ? {} : { message: fault }),
      },
    }),
  ]);
}
