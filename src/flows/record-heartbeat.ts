import { transaction } from '../db/transaction';
import { listAccountsOnNode } from '../modules/leases';
import { type Facts, findNode, type Node, type NodeStatus, recordHeartbeat } from '../modules/nodes';
import type { FlowContext } from './context';
import { quarantine } from './quarantine-node';

export interface Heartbeat {
  node: Node;
  facts: Facts;
  /** The host key that the machine shows now, if it says. */
  hostKey: string | null;
}

export interface HeartbeatAnswer {
  status: NodeStatus;
  /** What the agent has to know to end accounts by itself when it can reach nobody. */
  accounts: { username: string; remainingSeconds: number }[];
}

/** The agent's call home. A host key other than the pinned one quarantines the node, before anybody is sent to it. */
export async function takeHeartbeat(ctx: FlowContext, { node, facts, hostKey }: Heartbeat): Promise<HeartbeatAnswer> {
  if (hostKey !== null && hostKey !== node.hostKey && node.status !== 'quarantined') {
    await transaction(ctx.db, (tx) =>
      quarantine(tx, ctx, { nodeId: node.id, reason: 'it shows another host key', offeredHostKey: hostKey, actor: `node:${node.id}` }),
    );
  }
  await recordHeartbeat(ctx.db, node.id, facts);
  const [now, accounts] = await Promise.all([findNode(ctx.db, node.id), listAccountsOnNode(ctx.db, node.id)]);
  return { status: now?.status ?? node.status, accounts };
}
