import { type Tx, transaction } from '../../db/transaction';
import type { MoveCause } from '../../lib/event-types';
import { recordEvent } from '../../modules/audit';
import { lockLease, markMigrating } from '../../modules/leases';
import { lockNode, type Node, type NodeStatus, retireNode, setLeaving } from '../../modules/nodes';
import type { FlowContext } from '../support/context';
import { forgetPending } from './pending-nodes';
import { abandonNode } from '../nodes/quarantine-node';

export interface Leaving {
  /**
   * True: the node is retired, and the agent may remove itself. False: the agent repeats the request, because the lease is being moved or
   * the node is being wiped.
   */
  left: boolean;
  status: NodeStatus;
  detail: string;
}

/**
 * Handles an agent's request to leave the fleet (R6). The node takes no new lease, its lease moves, it is wiped, and then it is retired.
 * The agent repeats the request until `left` is true.
 */
export async function leaveNode(ctx: FlowContext, nodeId: number): Promise<Leaving> {
  return transaction(ctx.db, async (tx) => {
    const node = await lockNode(tx, nodeId);
    if (!node || node.status === 'retired') {
      return { left: true, status: 'retired', detail: 'The node is retired.' };
    }
    if (node.status === 'pending') {
      await forgetPending(tx, nodeId);
      await recordRetired(tx, node, 'it was never approved, and is forgotten');
      return { left: true, status: 'retired', detail: 'The machine was never approved, and is forgotten.' };
    }
    if (!node.leaving) {
      await setLeaving(tx, nodeId);
      await recordEvent(tx, { type: 'node.leaving', actor: `node:${nodeId}`, nodeId });
    }
    return canGo(node) ? retire(tx, node) : waitForLease(tx, ctx, node);
  });
}

/** Whether nothing remains to be done on the node: it has no lease, and it is clean or in quarantine. */
const canGo = (node: Node): boolean => node.leaseId === null && (!node.dirty || node.status === 'quarantined');

async function retire(tx: Tx, node: Node): Promise<Leaving> {
  await abandonNode(tx, { id: node.id, leaseId: null, actor: `node:${node.id}`, cause: 'planned' });
  await retireNode(tx, node.id, 'it left');
  await recordRetired(tx, node, 'it left');
  return { left: true, status: 'retired', detail: 'The node is retired.' };
}

const recordRetired = (tx: Tx, { id, hostname, status }: Node, reason: string): Promise<void> =>
  recordEvent(tx, { type: 'node.retired', actor: `node:${id}`, nodeId: id, data: { hostname, before: status, reason } });

async function waitForLease(tx: Tx, ctx: FlowContext, node: Node): Promise<Leaving> {
  if (node.leaseId === null) {
    return { left: false, status: node.status, detail: 'The node is being wiped.' };
  }
  const lease = await lockLease(tx, node.leaseId);
  if (lease?.state === 'active' && (await markMigrating(tx, lease.id))) {
    const data = { reason: 'its node is leaving', cause: 'planned' satisfies MoveCause };
    await recordEvent(tx, { type: 'lease.migrating', actor: ctx.actor, leaseId: lease.id, nodeId: node.id, userId: lease.userId, data });
  }
  return { left: false, status: node.status, detail: 'The lease on the node is being moved.' };
}
