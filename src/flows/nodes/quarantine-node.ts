import type { Tx } from '../../db/transaction';
import type { MoveCause } from '../../lib/event-types';
import { recordEvent } from '../../modules/audit';
import { endLeases, listPlacementsToWipe, markMigrating, parkPlacement } from '../../modules/leases';
import { findNode, quarantineNode } from '../../modules/nodes';
import type { FlowContext } from '../support/context';

export interface Quarantine {
  nodeId: number;
  reason: string;
  /** A changed host key that an operator may accept. */
  offeredHostKey?: string | undefined;
  /** The caller moves the lease of the node. */
  leaveLease?: boolean;
  actor?: string;
}

/**
 * Takes a node out of service until an operator approves it. Its lease moves. Accounts that are still to be wiped there stay visible (I9).
 */
export async function quarantine(
  tx: Tx,
  ctx: FlowContext,
  { nodeId, reason, offeredHostKey, leaveLease = false, actor = ctx.actor }: Quarantine,
): Promise<void> {
  const node = await findNode(tx, nodeId);
  if (!node || node.status === 'retired') {
    return;
  }
  if (!leaveLease) {
    await abandonNode(tx, { ...node, actor, cause: 'quarantine' });
  }
  await quarantineNode(tx, nodeId, { reason, offeredHostKey });
  await recordEvent(tx, { type: 'node.quarantined', actor, nodeId, data: { before: node.status, reason: reason.slice(0, 300) } });
  ctx.logger.error('node quarantined', { nodeId, reason });
}

interface Abandoned {
  id: number;
  leaseId: number | null;
  actor: string;
  cause: MoveCause;
}

/** Handles a node on which no work is possible any more. Its lease migrates. Leases that only waited for their wipe there end. */
export async function abandonNode(tx: Tx, node: Abandoned): Promise<void> {
  if (node.leaseId !== null && (await markMigrating(tx, node.leaseId))) {
    await parkPlacement(tx, node.leaseId);
    const { actor, leaseId, id: nodeId, cause } = node;
    await recordEvent(tx, { type: 'lease.migrating', actor, leaseId, nodeId, data: { cause } });
  }
  const waiting = await listPlacementsToWipe(tx, node.id);
  for (const leaseId of await endLeases(
    tx,
    waiting.map((placement) => placement.leaseId),
  )) {
    await recordEvent(tx, {
      type: 'lease.ended',
      actor: node.actor,
      leaseId,
      nodeId: node.id,
      data: { note: 'its node was lost before the wipe; the node is wiped before anybody may lease it' },
    });
  }
}
