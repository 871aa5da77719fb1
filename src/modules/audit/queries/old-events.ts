import { lockOldRows, type OldRows, type Pruned, type Window } from '../../../db/old-rows';
import { execute, marks, selectRows } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';

const OLD: OldRows = { table: 'events', index: 'events_at', at: 'at' };

/** Deletes the events of a window, except those that must stay. */
export async function pruneEvents(tx: Tx, window: Window): Promise<Pruned> {
  const { ids, next } = await lockOldRows(tx, OLD, window);
  const needed = await findNeeded(tx, ids);
  const useless = ids.filter((id) => !needed.has(id));
  if (useless.length > 0) {
    await execute(tx, `DELETE FROM events WHERE id IN (${marks(useless)})`, useless);
  }
  return { deleted: useless.length, next };
}

/**
 * Returns which of these old events must stay: those of leases that still exist, so that the history of a lease is whole. This is the only
 * place that decides it. The entry of a sealed event stays. An old event without an entry is from a time when the log was not sealed.
 */
async function findNeeded(tx: Tx, ids: number[]): Promise<Set<number>> {
  if (ids.length === 0) {
    return new Set();
  }
  const rows = await selectRows<{ id: number }>(
    tx,
    `SELECT events.id FROM events STRAIGHT_JOIN leases ON leases.id = events.lease_id WHERE events.id IN (${marks(ids)})`,
    ids,
  );
  return new Set(rows.map(({ id }) => id));
}
