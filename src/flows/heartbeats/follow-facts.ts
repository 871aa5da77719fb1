import { type Tx, transaction } from '../../db/transaction';
import { countEventsLately, recordEvent } from '../../modules/audit';
import { decisionsOf, type Declared, type Facts, lockNode, type Node, placeableOf, redescribeNode } from '../../modules/nodes';
import type { CloneContext } from '../nodes/tell-clones';

/** A node's description of itself in a heartbeat, sent because it changed. */
export interface SelfReport extends Declared {
  hostname: string;
  address: string;
  sshPort: number;
  facts: Facts;
  /** See lib/registration-mark. */
  mark: string | null;
}

/** Changes of one node that are accepted within an hour. An honest machine has fewer, and each one is an event that is kept for long. */
const CHANGES_PER_HOUR = 30;

/**
 * Writes the changed description of a node. Its lease, status and credential stay.
 *
 * A new address counts only if the machine there, with the pinned host key, shows the mark of this report. Otherwise a false report could
 * send tenants to another machine. False: the machine there does not show the mark, and the address stays; or the node changed too often
 * in the last hour, and nothing is written. The agent reports both again.
 */
export async function followFacts(ctx: CloneContext, node: Node, report: SelfReport): Promise<boolean> {
  const { address, sshPort, mark } = report;
  const moves = address !== node.address || sshPort !== node.sshPort;
  const isThere =
    !moves ||
    node.status === 'pending' ||
    (await ctx.findMark({ nodeId: node.id, address, port: sshPort, hostKey: node.hostKey, reach: node.reach }, mark)) === 'shown';
  const where = isThere ? { address, sshPort } : { address: node.address, sshPort: node.sshPort };
  if (!(await transaction(ctx.db, (tx) => redescribe(tx, node.id, { ...report, ...where })))) {
    ctx.logger.warn('node changes too often', { nodeId: node.id, changesPerHour: CHANGES_PER_HOUR });
    return false;
  }
  if (!isThere) {
    ctx.logger.warn('new address of a node not confirmed', { nodeId: node.id, before: node.address, address });
  }
  return isThere;
}

/** False: the node changed too often. */
async function redescribe(
  tx: Tx,
  nodeId: number,
  { hostname, address, sshPort, facts, labels, cpus, memoryMb }: Omit<SelfReport, 'mark'>,
): Promise<boolean> {
  const node = await lockNode(tx, nodeId);
  if (!node || node.status === 'retired') {
    return true;
  }
  const now = { hostname, address, sshPort, ...placeableOf(decisionsOf(node), { labels, cpus, memoryMb }) };
  const changed = Object.fromEntries(
    Object.entries(now)
      .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(node[name as keyof Node]))
      .map(([name, value]) => [name, { before: node[name as keyof Node], after: value }]),
  );
  const isChanged = Object.keys(changed).length > 0;
  if (isChanged && (await countEventsLately(tx, { type: 'node.changed', of: 'node', id: nodeId, seconds: 3600 })) >= CHANGES_PER_HOUR) {
    return false;
  }
  await redescribeNode(tx, nodeId, { ...now, facts });
  if (isChanged) {
    await recordEvent(tx, { type: 'node.changed', actor: `node:${nodeId}`, nodeId, data: changed });
  }
  return true;
}
