import { lockOldRows, type OldRows, type Place, type Window } from '../../../db/old-rows';
import { execute, marks, selectRows } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';
import { leaseState, placementState } from '../moves';
import type { LeaseState } from '../types';

/** States of leases that are over for good. */
export type OverState = Extract<LeaseState, 'ended' | 'failed'>;

/** `ends_at` has an index. `findNeeded` compares `ended_at`, which may be later: a wipe waits for its node. */
const oldOf = (state: OverState): OldRows => ({ table: 'leases', index: 'leases_state_end', at: 'ends_at', where: `state = '${state}'` });

/** Locks the leases of a window, and returns the ids of those that nothing needs any more. */
export async function lockOldLeases(tx: Tx, state: OverState, window: Window): Promise<{ ids: number[]; next: Place | undefined }> {
  const { ids, next } = await lockOldRows(tx, oldOf(state), window);
  const needed = await findNeeded(tx, ids, window.days);
  return { ids: ids.filter((id) => !needed.has(id)), next };
}

/** The placement with the highest uid of a node. Later uids of that node begin above it, because the node refuses lower ones. */
const NEWEST_UID = `SELECT n.uid FROM placements n FORCE INDEX (placements_uid)
   WHERE n.node_id = p.node_id ORDER BY n.uid DESC LIMIT 1`;

/**
 * Returns which of these leases must stay: those that ended lately, that a node or a home backup still refers to, with an account that is
 * not wiped, or with the newest account of a node in service.
 */
async function findNeeded(tx: Tx, ids: number[], days: number): Promise<Set<number>> {
  if (ids.length === 0) {
    return new Set();
  }
  const these = `IN (${marks(ids)})`;
  const rows = await selectRows<{ id: number }>(
    tx,
    `SELECT id FROM leases WHERE id ${these} AND (ended_at IS NULL OR ended_at >= UTC_TIMESTAMP(3) - INTERVAL ? DAY)
      UNION ALL SELECT lease_id FROM nodes WHERE lease_id ${these}
      UNION ALL SELECT lease_id FROM checkpoints WHERE lease_id ${these} AND due_at IS NOT NULL
      UNION ALL SELECT lease_id FROM placements WHERE lease_id ${these} AND state <> 'wiped'
      UNION ALL SELECT p.lease_id FROM placements p STRAIGHT_JOIN nodes ON nodes.id = p.node_id
                 WHERE p.lease_id ${these} AND nodes.status <> 'retired' AND p.uid = (${NEWEST_UID})`,
    [...ids, days, ...ids, ...ids, ...ids, ...ids],
  );
  return new Set(rows.map(({ id }) => id));
}

const PRUNE = { placements: placementState.remove('prune', 'lease_id IN (#)'), leases: leaseState.remove('prune', 'id IN (#)') };

/**
 * Deletes leases that are over, with their accounts and extensions, and rents of which no lease is left. The caller has locked the leases
 * and deleted their home backups.
 */
export async function deleteLeases(tx: Tx, ids: number[]): Promise<void> {
  if (ids.length === 0) {
    return;
  }
  const rents = await selectRows<{ id: number }>(tx, `SELECT rent_id AS id FROM leases WHERE id IN (${marks(ids)})`, ids);
  await execute(tx, PRUNE.placements.replace('#', marks(ids)), ids);
  await execute(tx, `DELETE FROM extensions WHERE lease_id IN (${marks(ids)})`, ids);
  await execute(tx, PRUNE.leases.replace('#', marks(ids)), ids);
  await deleteEmptyRents(tx, [...new Set(rents.map(({ id }) => id))]);
}

/** Locks the rents first. Otherwise two processes that delete the last two leases of a rent would each leave the rent to the other. */
async function deleteEmptyRents(tx: Tx, ids: number[]): Promise<void> {
  const these = `IN (${marks(ids)})`;
  await selectRows(tx, `SELECT id FROM rents WHERE id ${these} ORDER BY id FOR UPDATE`, ids);
  const left = await selectRows<{ id: number }>(tx, `SELECT rent_id AS id FROM leases WHERE rent_id ${these}`, ids);
  const used = new Set(left.map(({ id }) => id));
  const empty = ids.filter((id) => !used.has(id));
  if (empty.length > 0) {
    await execute(tx, `DELETE FROM rents WHERE id IN (${marks(empty)})`, empty);
  }
}
