import type { Knex } from 'knex';
import { type Checkpoint, listCheckpoints } from '../../modules/checkpoints';
import { type Lease, listCurrentPlacements, type Placement } from '../../modules/leases';
import { findNodes, type Node, type ReachableNode } from '../../modules/nodes';

/** A lease with its current placement, node and home backups. */
export interface LeaseView {
  lease: Lease;
  placement: Placement | null;
  node: (ReachableNode & Pick<Node, 'notExamined'>) | null;
  /** Null: home backups were off when the lease was rented. */
  checkpoint: Checkpoint | null;
}

/** Adds to leases their current placements, nodes and home backups. The number of queries does not depend on the number of leases. */
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
