import type { Tx } from '../db/transaction';
import { messageOf } from '../lib/errors';
import { recordEvent } from '../modules/audit';
import { bytesOf, type Checkpoint, type Homes, listCheckpoints, RestoreError, tellCheckpointError } from '../modules/checkpoints';
import type { ClaimedPlacement, Lease } from '../modules/leases';
import { type NodeTarget, ProvisioningError } from '../modules/provisioning';
import { HostKeyChangedError } from '../ssh';
import type { WorkContext } from './context';

export interface Restored {
  checkpoint: Checkpoint;
  /** What could not be restored, or null. */
  fault: string | null;
}

const ATTEMPTS = 2;

/**
 * Puts the last checkpoint of a lease into the home that was just made for it on another node; null when there is nothing to do. An archive that cannot be
 * restored does not keep the lease from its node: after another attempt it goes on with what could be had, and is told. A node that
 * cannot be worked on is a failure like any other of its account's making (ProvisioningError).
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
  const fault = await restore(ctx.homes, { placement, target, checkpoint }, signal);
  ctx.metrics.restores.inc({ result: fault === null ? 'ok' : 'failed' });
  return { checkpoint, fault };
}

async function restore(homes: Homes, { placement, target, checkpoint }: { placement: ClaimedPlacement; target: NodeTarget; checkpoint: Checkpoint }, signal: AbortSignal): Promise<string | null> {
  const { leaseId, username, uid } = placement;
  let fault: string | null = null;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      await homes.restore({ target, username, uid }, { leaseId, archives: checkpoint.archives }, signal);
      return null;
    } catch (error) {
      if (!(error instanceof RestoreError)) {
        throw new ProvisioningError(error instanceof HostKeyChangedError ? 'host_key_changed' : 'unreachable', `the home could not be restored: ${messageOf(error)}`);
      }
      fault = error.message;
    }
  }
  return fault;
}

export interface RestoreRecord {
  placement: ClaimedPlacement;
  lease: Lease;
  restored: Restored | null;
}

/** In the transaction that hands the account over. */
export async function recordRestore(tx: Tx, ctx: WorkContext, { placement, lease, restored }: RestoreRecord): Promise<void> {
  if (!restored) {
    return;
  }
  const { checkpoint: { archives, lastAt, ageSeconds }, fault } = restored;
  if (fault !== null) {
    await tellCheckpointError(tx, lease.id, `not all of the home could be restored: ${fault}`);
  }
  await recordEvent(tx, {
    type: fault === null ? 'checkpoint.restored' : 'checkpoint.restore_failed',
    actor: ctx.actor,
    leaseId: lease.id,
    nodeId: placement.nodeId,
    userId: lease.userId,
    data: { generation: placement.generation, saved_at: lastAt?.toISOString() ?? null, age_seconds: ageSeconds, bytes: bytesOf(archives), ...(fault === null ? {} : { message: fault }) },
  });
}
