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
  /** Why the home could not be restored completely, or null. */
  fault: string | null;
  /** The archives are readable, so another node may be able to restore what this node could not. */
  elsewhere: boolean;
}

const ATTEMPTS = 2;
/** A lease that has been on this many nodes since its last home backup stays, with the part of its home that could be restored. */
const MAX_NODES = 3;

/**
 * Restores the last home backup into the new home of a lease on another node. Null: there is nothing to restore.
 *
 * A failed restore does not delay the lease for ever. It is tried a second time, and on other nodes if the archives are readable. Then the
 * lease continues with what could be restored, and shows the error. A node that cannot be worked on fails like any provisioning
 * (ProvisioningError).
 */
export async function restoreHome(
  ctx: WorkContext,
  { placement, target }: { placement: ClaimedPlacement; target: NodeTarget },
  signal: AbortSignal,
): Promise<Restored | null> {
  // If the tenant has been in the home, the home is newer than any backup: the same node came back.
  if (!ctx.homes || placement.generation === 1 || !placement.untouched) {
    return null;
  }
  const [checkpoint] = await listCheckpoints(ctx.db, [placement.leaseId]);
  if (!checkpoint || checkpoint.archives.length === 0) {
    return null;
  }
  const error = await restore(ctx.homes, { placement, target, checkpoint }, signal);
  ctx.metrics.restores.inc({ result: error ? 'failed' : 'ok' });
  return {
    checkpoint,
    fault: error && error.message,
    elsewhere: error !== null && (await mayFitElsewhere(ctx.homes, { placement, checkpoint, error }, signal)),
  };
}

async function mayFitElsewhere(
  homes: Homes,
  { placement, checkpoint: { archives }, error }: { placement: ClaimedPlacement; checkpoint: Checkpoint; error: RestoreError },
  signal: AbortSignal,
): Promise<boolean> {
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
        throw new ProvisioningError(
          error instanceof HostKeyChangedError ? 'host_key_changed' : 'unreachable',
          `the home could not be restored: ${messageOf(error)}`,
        );
      }
      failed = failed && !failed.late ? failed : error;
    }
  }
  return failed;
}

/**
 * Moves a lease to another node, before its tenant has logged in, because this node could not restore its home. Null: there is no reason to
 * move, no other node is free (the lease then stays with what could be restored), or this process lost its claim. Throws NodesBusyError
 * (see when-free).
 */
export async function takeHomeElsewhere(
  ctx: WorkContext,
  placement: ClaimedPlacement,
  restored: Restored | null,
): Promise<ClaimedPlacement | null> {
  return restored?.elsewhere
    ? whenFree(ctx, () => transaction(ctx.db, (tx) => leaveUnfitNode(tx, ctx, { placement, fault: restored.fault ?? '' })))
    : null;
}

async function leaveUnfitNode(
  tx: Tx,
  ctx: WorkContext,
  { placement, fault }: { placement: ClaimedPlacement; fault: string },
): Promise<ClaimedPlacement | null> {
  const lease = await lockLease(tx, placement.leaseId);
  const isOurs =
    lease?.generation === placement.generation &&
    isRunning(lease.state) &&
    (await renewPlacement(tx, placement, ctx.settings.claimSeconds));
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

/** Records the restore of a home, in the transaction that hands over the account. */
export async function recordRestore(batch: Batch, ctx: WorkContext, { placement, lease, restored }: RestoreRecord): Promise<void> {
  if (!restored) {
    return;
  }
  const {
    checkpoint: { archives, lastAt, ageSeconds },
    fault,
  } = restored;
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
