import type { Knex } from 'knex';
import { type Checkpoint, listCheckpoints } from '../../modules/checkpoints';
import { type Lease, listCurrentPlacements, type Placement } from '../../modules/leases';
import { findNodes, type Node, type ReachableNode } from '../../modules/nodes';

/** A lease with where it is now. */
export interface LeaseView {
  lease: Lease;
  placement: Placement | null;
  node: (ReachableNode & Pick<Node, 'notExamined'>) | null;
  /** Null when it was rented while checkpoints were off. */
  checkpoint: Checkpoint | null;
}

/** Adds to leases their current placements, nodes and checkpoints, in a few queries whatever their number. */
export async function viewLeases(db: Knex, leases: Lease[]): Promise<LeaseView[]> {
  const ids = leases.map(({ id }) => id);
  const [[placements, nodes], checkpoints] = await Promise.all([placesOf(db, ids), listCheckpoints(db, ids)]);
  return leases.map((lease) => {
    const placement = placements.find(({ leaseId }) => leaseId === lease.id) ?? null;
    const node = nodes.find(({ id }) => id === placement?.nodeId) ?? null;
    return { lease, placement, node, checkpoint: checkpoints.find(({ leaseId }) => leaseId === lease.id) ?? null };
  });
}

async function placesOf(db: Knex, leaseIds: number[]): Promise<[Placement[], Node[]]> {
  const placements = await listCurrentPlacements(db, leaseIds);
  return [placements, await findNodes(db, [...new Set(placements.map(({ nodeId }) => nodeId))])];
}
