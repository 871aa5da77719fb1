import type { Tx } from '../../db/transaction';
import { recordEvent } from '../../modules/audit';
import { moveCheckpoint } from '../../modules/checkpoints';
import { type ClaimedPlacement, insertPlacements, type Lease, relocateLease, retirePlacement } from '../../modules/leases';
import { claimFreeNode, occupyNode, vacateNode } from '../../modules/nodes';
import type { FlowContext } from '../support/context';
import { failpoint } from '../support/failpoints';
import { NodesBusyError } from '../support/when-free';

/**
 * Moves a running lease, which the caller has locked, to a free node. The old placement is to be wiped. The placement of the next
 * generation is created and claimed for the caller. `ends_at` stays (I4). Null: no node is free, and nothing changed. Throws NodesBusyError
 * (see when-free).
 */
export async function moveLease(tx: Tx, ctx: FlowContext, lease: Lease): Promise<ClaimedPlacement | null> {
  const free = await claimFreeNode(tx, lease.requirements);
  if (free.found === 'busy') {
    throw new NodesBusyError();
  }
  if (free.found === 'none' || lease.occupiedNodeId === null) {
    return null;
  }
  const { node } = free;
  await retirePlacement(tx, lease.id);
  await vacateNode(tx, lease.occupiedNodeId, lease.id);
  await relocateLease(tx, lease.id, node.id);
  await occupyNode(tx, node.id, lease.id);
  if (ctx.settings.checkpoints) {
    await moveCheckpoint(tx, lease.id, ctx.settings.checkpoints.intervalSeconds);
  }
  const generation = lease.generation + 1;
  await recordEvent(tx, {
    type: 'lease.moved',
    actor: ctx.actor,
    leaseId: lease.id,
    nodeId: node.id,
    userId: lease.userId,
    data: { from_node: lease.occupiedNodeId, to_node: node.id, generation },
  });
  const [placement = null] = await insertPlacements(
    tx,
    [{ leaseId: lease.id, nodeId: node.id, generation, uid: node.nextUid }],
    ctx.settings.claimSeconds,
  );
  failpoint('migrate.commit');
  return placement;
}
