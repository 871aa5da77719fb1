import { execute } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';
import { withOperatorLabels } from '../declared';
import type { SharedStoragePolicy } from '../shared-storage';
import type { Caps, Labels, Node } from '../types';

/** Replaces the operator's labels of a locked node. The labels that the node declared stay. */
export async function setOperatorLabels(tx: Tx, { id, labels }: Pick<Node, 'id' | 'labels'>, operator: Labels): Promise<void> {
  await execute(tx, 'UPDATE nodes SET operator_labels = ?, labels = ? WHERE id = ?', [
    JSON.stringify(operator),
    JSON.stringify(withOperatorLabels(labels, operator)),
    id,
  ]);
}

/**
 * Sets the caps of a node. Declared values above the caps no longer count. Higher caps count from the node's next registration on, because
 * that declares the values again.
 */
export async function limitNode(tx: Tx, nodeId: number, { maxCpus, maxMemoryMb }: Caps): Promise<void> {
  await execute(
    tx,
    'UPDATE nodes SET max_cpus = ?, max_memory_mb = ?, cpus = LEAST(cpus, COALESCE(?, cpus)), memory_mb = LEAST(memory_mb, COALESCE(?, memory_mb)) WHERE id = ?',
    [maxCpus, maxMemoryMb, maxCpus, maxMemoryMb, nodeId],
  );
}

/**
 * Sets the shared storage policy. A node without a lease becomes dirty and due for a wipe at once. The completion of that wipe judges the
 * node by the new policy. A wipe that is under way does the same.
 */
export async function setSharedStorage(tx: Tx, nodeId: number, policy: SharedStoragePolicy): Promise<void> {
  await execute(
    tx,
    `UPDATE nodes SET wipe_due_at = IF(lease_id IS NULL AND wipe_token IS NULL AND status IN ('alive','suspect'), UTC_TIMESTAMP(3), wipe_due_at),
            dirty = IF(lease_id IS NULL, 1, dirty), shared_storage = ?
      WHERE id = ?`,
    [policy, nodeId],
  );
}
