import { actorOf } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import {
  type Caps,
  checkOperatorLabels,
  type Labels,
  limitNode,
  type Node,
  setOperatorLabels,
  setSharedStorage,
  type SharedStoragePolicy,
} from '../../modules/nodes';
import type { FlowContext } from '../support/context';
import { type NodeOrder, operate } from './operate-node';

export interface Labelling extends NodeOrder {
  set: Labels;
  /** Names of labels. A name that the node does not have is no error, so that the order can be repeated. */
  remove: string[];
}

/** Changes the operator's labels of a node. The labels that the node declares stay. Throws state_conflict for too many labels. */
export async function label(ctx: FlowContext, order: Labelling): Promise<Node> {
  return operate(ctx, order, async (tx, node) => {
    const kept = Object.entries(node.operatorLabels).filter(([name]) => !order.remove.includes(name));
    const labels = { ...Object.fromEntries(kept), ...order.set };
    checkOperatorLabels(node.operatorLabels, labels);
    await setOperatorLabels(tx, node, labels);
    const data = { before: node.operatorLabels, after: labels };
    await recordEvent(tx, { type: 'node.labelled', actor: actorOf(order.by), nodeId: node.id, data });
  });
}

/** Limits how much of a node's processors and memory Orion counts. A lease on the node stays. */
export async function limit(ctx: FlowContext, order: NodeOrder & Caps): Promise<Node> {
  return operate(ctx, order, async (tx, node) => {
    const { maxCpus, maxMemoryMb } = order;
    await limitNode(tx, node.id, { maxCpus, maxMemoryMb });
    const data = { before: { maxCpus: node.maxCpus, maxMemoryMb: node.maxMemoryMb }, after: { maxCpus, maxMemoryMb } };
    await recordEvent(tx, { type: 'node.limited', actor: actorOf(order.by), nodeId: node.id, data });
  });
}

/**
 * Decides whether the node is leased even if tenants there can write to file systems that no wipe reads. A free node is wiped, which finds
 * such file systems. A lease on the node stays.
 */
export async function decideSharedStorage(ctx: FlowContext, order: NodeOrder & { policy: SharedStoragePolicy }): Promise<Node> {
  return operate(ctx, order, async (tx, node) => {
    await setSharedStorage(tx, node.id, order.policy);
    const data = { before: node.sharedStorage, after: order.policy };
    await recordEvent(tx, { type: 'node.shared_storage', actor: actorOf(order.by), nodeId: node.id, data });
  });
}
