import { type Tx, transaction } from '../../db/transaction';
import { recordEvent } from '../../modules/audit';
import { decisionsOf, type Declared, type Facts, lockNode, type Node, placeableOf, redescribeNode } from '../../modules/nodes';
import type { CloneContext } from '../nodes/tell-clones';

/** What a node says of itself in a heartbeat, because it changed. */
export interface SelfReport extends Declared {
  hostname: string;
  address: string;
  sshPort: number;
  facts: Facts;
  /** See lib/registration-mark. */
  mark: string | null;
}

/**
 * Writes what changed about a node; its lease, its status and its credential stay. A new address counts once the machine there shows the mark of this very report, over its
 * pinned host key: nobody is sent to an address because somebody said so. False: it does not, and the address stays as it was.
 */
export async function followFacts(ctx: CloneContext, node: Node, report: SelfReport): Promise<boolean> {
  const { address, sshPort, mark } = report;
  const moves = address !== node.address || sshPort !== node.sshPort;
  const isThere = !moves || node.status === 'pending' || (await ctx.findMark({ nodeId: node.id, address, port: sshPort, hostKey: node.hostKey, reach: node.reach }, mark)) === 'shown';
  const where = isThere ? { address, sshPort } : { address: node.address, sshPort: node.sshPort };
  await transaction(ctx.db, (tx) => redescribe(tx, node.id, { ...report, ...where }));
  if (!isThere) {
    ctx.logger.warn('new address of a node not confirmed', { nodeId: node.id, before: node.address, address });
  }
  return isThere;
}

async function redescribe(tx: Tx, nodeId: number, { hostname, address, sshPort, facts, labels, cpus, memoryMb }: Omit<SelfReport, 'mark'>): Promise<void> {
  const node = await lockNode(tx, nodeId);
  if (!node || node.status === 'retired') {
    return;
  }
  const now = { hostname, address, sshPort, ...placeableOf(decisionsOf(node), { labels, cpus, memoryMb }) };
  const changed = Object.fromEntries(
    Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(node[name as keyof Node])).map(([name, value]) => [name, { before: node[name as keyof Node], after: value }]),
  );
  await redescribeNode(tx, nodeId, { ...now, facts });
  if (Object.keys(changed).length > 0) {
    await recordEvent(tx, { type: 'node.changed', actor: `node:${nodeId}`, nodeId, data: changed });
  }
}
