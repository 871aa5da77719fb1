import { marks, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';

/**
 * Two nodes at one address, of which the older one is out of service. As a rule both are one machine, before and after it was reinstalled.
 */
export interface Pairing {
  /** The quarantined or dead node that was at this node's address before. */
  predecessorId: number | null;
  /** For a quarantined or dead node: the newer node at its address. */
  successorId: number | null;
}

const GONE = "('quarantined','dead')";

/** Finds the pairings of these nodes, by node id. */
export async function listPairings(db: Db, nodeIds: number[]): Promise<Map<number, Pairing>> {
  if (nodeIds.length === 0) {
    return new Map();
  }
  const rows = await selectRows<{ id: number; predecessor: number | null; successor: number | null }>(
    db,
    `SELECT n.id,
            (SELECT MAX(o.id) FROM nodes o WHERE o.address = n.address AND o.ssh_port = n.ssh_port AND o.status IN ${GONE} AND o.id < n.id) AS predecessor,
            IF(n.status IN ${GONE}, (SELECT MAX(o.id) FROM nodes o WHERE o.address = n.address AND o.ssh_port = n.ssh_port AND o.status <> 'retired' AND o.id > n.id), NULL) AS successor
       FROM nodes n WHERE n.id IN (${marks(nodeIds)}) AND n.status <> 'retired'`,
    nodeIds,
  );
  return new Map(rows.map(({ id, predecessor, successor }) => [id, { predecessorId: predecessor, successorId: successor }]));
}
