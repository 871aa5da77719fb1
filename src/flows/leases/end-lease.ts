import type { Tx } from '../../db/transaction';
import { recordEvent } from '../../modules/audit';
import { endCheckpoint } from '../../modules/checkpoints';
import { closeLease, type EndReason, type Lease, listLeasesOfRents, lockLease, isRunning, retirePlacement } from '../../modules/leases';
import { lockNode, LOST, vacateNode } from '../../modules/nodes';

export interface Ending {
  reason: EndReason;
  actor: string;
}

/**
 * Ends a running lease that the caller has locked: its account is to be wiped, and its node becomes vacant and dirty. If the node cannot be
 * reached, the lease is over at once, and the wipe runs when the node is back (I6).
 */
export async function endLease(tx: Tx, lease: Lease, { reason, actor }: Ending): Promise<void> {
  const nodeId = lease.occupiedNodeId;
  if (nodeId === null) {
    return;
  }
  const node = await lockNode(tx, nodeId);
  const reachable = node !== undefined && !LOST.includes(node.status);
  const failed = reason === 'rent_failed';
  await retirePlacement(tx, lease.id);
  await closeLease(tx, lease.id, { to: failed ? 'failed' : reachable ? 'ending' : 'ended', reason });
  await vacateNode(tx, nodeId, lease.id);
  await endCheckpoint(tx, lease.id);
  await recordEvent(tx, {
    type: failed ? 'lease.failed' : reachable ? 'lease.ending' : 'lease.ended',
    actor,
    leaseId: lease.id,
    nodeId,
    userId: lease.userId,
    data: { reason },
  });
}

/** Ends all leases of a rent, because one of them could not be provisioned. A rent is granted as a whole or not at all. */
export async function failRent(tx: Tx, rentId: number, actor: string): Promise<void> {
  for (const { id } of await listLeasesOfRents(tx, [rentId])) {
    const lease = await lockLease(tx, id);
    if (lease && isRunning(lease.state)) {
      await endLease(tx, lease, { reason: 'rent_failed', actor });
    }
  }
}
