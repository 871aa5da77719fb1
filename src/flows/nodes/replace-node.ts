import type { Tx } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { actorOf, type User } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import { findNode, lockNode, type Node, retireNode, targetOf } from '../../modules/nodes';
import { abandonNode } from './quarantine-node';
import type { CloneContext } from './tell-clones';

export interface Replacement {
  /** The node that is to be retired. */
  nodeId: number;
  by: User;
  /** The node that takes its place. */
  successor: Node;
}

/** Whether the old node's machine answers with its pinned host key. Call it outside of every transaction. */
export async function isAnswering(ctx: CloneContext, nodeId: number): Promise<boolean> {
  const node = await findNode(ctx.db, nodeId);
  return (
    node !== undefined &&
    node.status !== 'pending' &&
    node.status !== 'retired' &&
    (await ctx.findMark(targetOf(node), null)) !== 'no_answer'
  );
}

/**
 * Retires the node whose machine was installed again and enrolled as `successor`. Its lease moves. Throws not_found. Throws state_conflict
 * for a node at another address, and for a node that answers and has a lease.
 */
export async function replaceNode(tx: Tx, { nodeId, by, successor }: Replacement, answers: boolean): Promise<void> {
  const reason = `replaced by node ${successor.id}`;
  const node = nodeId === successor.id ? undefined : await lockNode(tx, nodeId);
  if (node?.status === 'retired' && node.statusReason === reason) {
    // The order was carried out before, and its answer was lost.
    return;
  }
  if (!node || node.status === 'retired') {
    throw new OrionError('not_found', `There is no node ${nodeId} that could be replaced. \`orion nodes\` lists them.`);
  }
  checkPair(node, { successor, answers });
  await abandonNode(tx, { id: node.id, leaseId: node.leaseId, actor: actorOf(by), cause: 'planned' });
  await retireNode(tx, node.id, reason);
  await recordEvent(tx, { type: 'node.retired', actor: actorOf(by), nodeId: node.id, data: { replaced_by: successor.id } });
}

function checkPair(node: Node, { successor, answers }: { successor: Node; answers: boolean }): void {
  const { id: nodeId } = node;
  if (node.address !== successor.address || node.sshPort !== successor.sshPort) {
    throw new OrionError(
      'state_conflict',
      `Node ${nodeId} is at ${node.address} port ${node.sshPort}, and node ${successor.id} at ${successor.address} port ${successor.sshPort}: they are not one machine. To retire it all the same: \`orion node retire ${nodeId}\`.`,
    );
  }
  if (node.leaseId !== null && (answers || node.status === 'alive')) {
    throw new OrionError(
      'state_conflict',
      `Node ${nodeId} answers and has lease ${node.leaseId}. Move the lease first: \`orion node drain ${nodeId} --move\`.`,
    );
  }
}
