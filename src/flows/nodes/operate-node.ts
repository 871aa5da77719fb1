import { type Tx, transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import type { MoveCause } from '../../lib/event-types';
import { fingerprintOf } from '../../lib/host-key';
import { actorOf, type User } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import { markMigrating } from '../../modules/leases';
import {
  acceptOfferedHostKey,
  approveNode,
  drainNode,
  findNode,
  lockNode,
  lockNodeByHostKey,
  type Node,
  retireNode,
  undrainNode,
} from '../../modules/nodes';
import type { FlowContext } from '../support/context';
import { abandonNode, quarantine } from './quarantine-node';
import { isAnswering, replaceNode } from './replace-node';
import type { CloneContext } from './tell-clones';

export interface NodeOrder {
  nodeId: number;
  by: User;
}

/** Runs `order` on the locked node and returns the node as it is afterwards. Throws not_found, and state_conflict for a retired node. */
export async function operate(ctx: FlowContext, { nodeId }: NodeOrder, order: (tx: Tx, node: Node) => Promise<void>): Promise<Node> {
  await transaction(ctx.db, async (tx) => {
    const node = await lockNode(tx, nodeId);
    if (!node) {
      throw new OrionError('not_found', 'There is no such node. `GET /api/nodes` lists them.');
    }
    if (node.status === 'retired') {
      throw new OrionError('state_conflict', 'The node is retired for good. To use the machine again, let it enrol anew.');
    }
    await order(tx, node);
  });
  const node = await findNode(ctx.db, nodeId);
  if (!node) {
    throw new Error('a node vanished');
  }
  return node;
}

export interface Approval extends NodeOrder {
  /** Fingerprint of the host key that the operator compared on the machine itself. Null is refused, with the fingerprint to compare. */
  hostKeyFingerprint: string | null;
  /**
   * The node of the same machine before it was installed again. It is retired. With `replaces`, a node that is already in service is no
   * error.
   */
  replaces: number | null;
}

/**
 * Approves a pending or quarantined node with the host key that it shows now. If the operator did not name that key, it throws
 * state_conflict with the fingerprint to compare.
 */
export async function approve(ctx: CloneContext, order: Approval): Promise<Node> {
  const { replaces, by } = order;
  const answers = replaces !== null && (await isAnswering(ctx, replaces));
  return operate(ctx, order, async (tx, node) => {
    if (replaces !== null) {
      await replaceNode(tx, { nodeId: replaces, by, successor: node }, answers);
    }
    await letIn(tx, node, order);
  });
}

async function letIn(tx: Tx, node: Node, order: Approval): Promise<void> {
  if (node.status !== 'pending' && node.status !== 'quarantined') {
    if (order.replaces !== null) {
      return;
    }
    throw new OrionError('state_conflict', `The node is ${node.status}; only pending and quarantined nodes are approved.`);
  }
  const hostKey = node.offeredHostKey ?? node.hostKey;
  checkFingerprint(node, { fingerprint: fingerprintOf(hostKey), named: order.hostKeyFingerprint });
  if (node.offeredHostKey !== null) {
    await acceptHostKey(tx, node, hostKey);
  }
  await approveNode(tx, node.id);
  const data = {
    before: node.status,
    hostKeyFingerprint: fingerprintOf(hostKey),
    ...(order.replaces === null ? {} : { replaces: order.replaces }),
  };
  await recordEvent(tx, { type: 'node.approved', actor: actorOf(order.by), nodeId: node.id, data });
}

function checkFingerprint({ id, offeredHostKey }: Node, { fingerprint, named }: { fingerprint: string; named: string | null }): void {
  if (named === fingerprint) {
    return;
  }
  const problem = named === null ? 'No host key was named' : 'The host key that was named is not the one that the node shows';
  throw new OrionError(
    'state_conflict',
    `${problem}. The node shows ${fingerprint}. Compare that with \`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\` on the machine itself; if they are equal: \`orion node approve ${id} --fingerprint ${fingerprint}\` ("host_key_fingerprint").`,
    { details: { host_key_fingerprint: fingerprint, ...(offeredHostKey === null ? {} : { offered_host_key_fingerprint: fingerprint }) } },
  );
}

async function acceptHostKey(tx: Tx, node: Node, hostKey: string): Promise<void> {
  const fingerprint = fingerprintOf(hostKey);
  const twin = await lockNodeByHostKey(tx, fingerprint);
  if (twin && twin.id !== node.id) {
    throw new OrionError('state_conflict', `Node ${twin.id} has that host key already: retire one of the two.`);
  }
  await acceptOfferedHostKey(tx, node.id, { hostKey, fingerprint });
}

export interface Drain extends NodeOrder {
  /** Whether to move the node's lease too. A lease whose account is still being made moves as soon as the account is present. */
  move: boolean;
}

/** Keeps new leases off the node. With `move`, its lease moves to another node. */
export async function drain(ctx: FlowContext, order: Drain): Promise<Node> {
  return operate(ctx, order, async (tx, node) => {
    await drainNode(tx, node.id, order.move);
    await recordEvent(tx, { type: 'node.drained', actor: actorOf(order.by), nodeId: node.id, data: { move: order.move } });
    if (order.move && node.leaseId !== null && (await markMigrating(tx, node.leaseId))) {
      const data = { reason: 'its node is drained', cause: 'planned' satisfies MoveCause };
      await recordEvent(tx, { type: 'lease.migrating', actor: actorOf(order.by), leaseId: node.leaseId, nodeId: node.id, data });
    }
  });
}

export async function undrain(ctx: FlowContext, order: NodeOrder): Promise<Node> {
  return operate(ctx, order, async (tx, node) => {
    await undrainNode(tx, node.id);
    await recordEvent(tx, { type: 'node.undrained', actor: actorOf(order.by), nodeId: node.id });
  });
}

export async function quarantineByOrder(ctx: FlowContext, order: NodeOrder & { reason: string }): Promise<Node> {
  return operate(ctx, order, (tx, node) => quarantine(tx, ctx, { nodeId: node.id, reason: order.reason, actor: actorOf(order.by) }));
}

/** Retires a node for good. Its lease moves. Accounts that were still to be wiped there stay recorded as such. */
export async function retire(ctx: FlowContext, order: NodeOrder): Promise<Node> {
  return operate(ctx, order, async (tx, node) => {
    await abandonNode(tx, { id: node.id, leaseId: node.leaseId, actor: actorOf(order.by), cause: 'planned' });
    await retireNode(tx, node.id, `retired by ${actorOf(order.by)}`);
    await recordEvent(tx, { type: 'node.retired', actor: actorOf(order.by), nodeId: node.id, data: { before: node.status } });
  });
}
