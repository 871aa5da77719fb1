import { execute, fromJson, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { EventType, NewEvent, RecordedEvent } from '../types';

/** Writes an event; in the same transaction as what it tells of. */
export async function recordEvent(db: Db, event: NewEvent): Promise<void> {
  await execute(db, 'INSERT INTO events (type, actor, lease_id, node_id, user_id, data) VALUES (?, ?, ?, ?, ?, ?)', [
    event.type,
    event.actor,
    event.leaseId ?? null,
    event.nodeId ?? null,
    event.userId ?? null,
    JSON.stringify(event.data ?? {}),
  ]);
}

interface EventRow {
  id: number;
  at: Date;
  type: EventType;
  actor: string;
  lease_id: number | null;
  node_id: number | null;
  data: unknown;
}

const toEvent = (row: EventRow): RecordedEvent => ({
  id: row.id,
  at: row.at,
  type: row.type,
  actor: row.actor,
  leaseId: row.lease_id,
  nodeId: row.node_id,
  data: fromJson<Record<string, unknown>>(row.data),
});

const COLUMNS = 'id, at, type, actor, lease_id, node_id, data';

/** The timeline of a lease, oldest first. */
export async function listLeaseEvents(db: Db, leaseId: number, limit: number): Promise<RecordedEvent[]> {
  return (await selectRows<EventRow>(db, `SELECT ${COLUMNS} FROM events WHERE lease_id = ? ORDER BY id LIMIT ?`, [leaseId, limit])).map(toEvent);
}

export async function findLastEventId(db: Db): Promise<number> {
  return (await selectFirst<{ id: number | null }>(db, 'SELECT MAX(id) AS id FROM events'))?.id ?? 0;
}

/**
 * Events about nodes with an id above `afterId`, oldest first. Ids are given out before their transaction commits, so a reader that must
 * not miss any asks again from a little way back and drops what it has seen.
 */
export async function listNodeEventsAfter(db: Db, afterId: number, limit: number): Promise<RecordedEvent[]> {
  return (
    await selectRows<EventRow>(db, `SELECT ${COLUMNS} FROM events WHERE id > ? AND node_id IS NOT NULL ORDER BY id LIMIT ?`, [afterId, limit])
  ).map(toEvent);
}
