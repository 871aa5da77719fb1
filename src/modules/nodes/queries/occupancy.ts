import { execute, marks } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';
import { causeOf } from '../../../lib/origin';

/** Marks a claimed node as occupied and uses up one uid. Throws if a lease occupies the node already: then it was not claimed properly. */
export async function occupyNode(tx: Tx, nodeId: number, leaseId: number): Promise<void> {
  const changed = await execute(
    tx,
    'UPDATE nodes SET lease_id = ?, last_leased_at = UTC_TIMESTAMP(3), next_uid = next_uid + 1 WHERE id = ? AND lease_id IS NULL',
    [leaseId, nodeId],
  );
  if (changed !== 1) {
    throw new Error(`node ${nodeId} is occupied already`);
  }
}

/** Does the same for many nodes: each gets the lease that was just put on it (`leases.occupied_node_id`). */
export async function occupyNodes(tx: Tx, nodeIds: number[]): Promise<void> {
  const changed = await execute(
    tx,
    `UPDATE nodes JOIN leases ON leases.occupied_node_id = nodes.id
        SET nodes.lease_id = leases.id, nodes.last_leased_at = UTC_TIMESTAMP(3), nodes.next_uid = nodes.next_uid + 1
      WHERE nodes.id IN (${marks(nodeIds)}) AND nodes.lease_id IS NULL`,
    nodeIds,
  );
  if (changed !== nodeIds.length) {
    throw new Error(`of ${nodeIds.length} nodes ${nodeIds.length - changed} are occupied already`);
  }
}

/**
 * Takes a lease off its node. The node is dirty from here on. A reachable node is due for its wipe at once, a lost one when it comes back.
 * The current act is the cause of the wipe. If the node has another lease or none, nothing changes.
 */
export async function vacateNode(tx: Tx, nodeId: number, leaseId: number): Promise<void> {
  const { traceparent, requestId } = causeOf();
  await execute(
    tx,
    `UPDATE nodes SET lease_id = NULL, dirty = 1, wipe_token = NULL, wipe_failures = 0,
            wipe_due_at = IF(status IN ('alive','suspect'), UTC_TIMESTAMP(3), NULL), wipe_traceparent = ?, wipe_request_id = ?
      WHERE id = ? AND lease_id = ?`,
    [traceparent, requestId, nodeId, leaseId],
  );
}
