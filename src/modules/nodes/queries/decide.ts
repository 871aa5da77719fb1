import { execute } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';
import { withOperatorLabels } from '../declared';
import type { Caps, Labels, Node } from '../types';

/** Replaces the operator's labels of a locked node; those that the node declared stay. */
export async function setOperatorLabels(tx: Tx, { id, labels }: Pick<Node, 'id' | 'labels'>, operator: Labels): Promise<void> {
  await execute(tx, 'UPDATE nodes SET operator_labels = ?, labels = ? WHERE id = ?', [JSON.stringify(operator), JSON.stringify(withOperatorLabels(labels, operator)), id]);
}

/** What is declared beyond the caps counts no longer. Higher caps count from the node's next registration on, which declares anew. */
export async function limitNode(tx: Tx, nodeId: number, { maxCpus, maxMemoryMb }: Caps): Promise<void> {
  await execute(tx, 'UPDATE nodes SET max_cpus = ?, max_memory_mb = ?, cpus = LEAST(cpus, COALESCE(?, cpus)), memory_mb = LEAST(memory_mb, COALESCE(?, memory_mb)) WHERE id = ?', [
    maxCpus, maxMemoryMb, maxCpus, maxMemoryMb, nodeId,
  ]);
}
