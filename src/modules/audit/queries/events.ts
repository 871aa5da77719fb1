import { execute, fromJson, rowsOf, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { EventType, NewEvent, RecordedEvent } from '../types';

/** Writes an event. The caller passes the transaction of the change that the event describes. */
export function recordEvent(db: Db, event: NewEvent): Promise<void> {
  return recordEvents(db, [event]);
}

/** Writes several events in one statement. There must be at least one. */
export async function recordEvents(db: Db, events: NewEvent[]): Promise<void> {
  await execute(
    db,
    `INSERT INTO events (type, actor, lease_id, node_id, user_id, data) VALUES ${rowsOf(events, '(?, ?, ?, ?, ?, ?)')}`,
    events.flatMap(({ type, actor, leaseId, nodeId, userId, data }) => [type, actor, leaseId ?? null, nodeId ?? null, userId ?? null, JSON.stringify(data ?? {})]),
  );
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

/** Lists the events of a lease, oldest first. */
export async function listLeaseEvents(db: Db, leaseId: number, limit: number): Promise<RecordedEvent[]> {
  return (await selectRows<EventRow>(db, `SELECT ${COLUMNS} FROM events WHERE lease_id = ? ORDER BY id LIMIT ?`, [leaseId, limit])).map(toEvent);
}

export async function findLastEventId(db: Db): Promise<number> {
  return (await selectFirst<{ id: number | null }>(db, 'SELECT MAX(id) AS id FROM events'))?.id ?? 0;
}

export interface SoughtEvent {
  type: EventType;
  of: 'node' | 'lease';
  id: number;
  is: (data: Record<string, unknown>) => boolean;
  seconds: number;
}

/** How many of the newest events of a node or a lease `hasEventLately` reads. */
const LATELY = 50;

/** Returns whether a matching event is among the newest of the node or the lease, and not older than `seconds`. */
export async function hasEventLately(db: Db, { type, of, id, is, seconds }: SoughtEvent): Promise<boolean> {
  const rows = await selectRows<{ type: EventType; data: unknown }>(
    db,
    `SELECT type, data FROM events WHERE ${of}_id = ? AND at > UTC_TIMESTAMP(3) - INTERVAL ? SECOND ORDER BY id DESC LIMIT ?`,
    [id, seconds, LATELY],
  );
  return rows.some((row) => row.type === type && is(fromJson<Record<string, unknown>>(row.data)));
}

/** The fields that are needed to follow events: the id of an event, and the node that it is about. */
export interface EventMark {
  id: number;
  nodeId: number | null;
}

/**
 * Lists events with an id above `afterId`, oldest first. Ids are given out before their transaction commits, so lower ids may appear later.
 */
export async function listEventsAfter(db: Db, afterId: number, limit: number): Promise<EventMark[]> {
  return selectRows(db, 'SELECT id, node_id AS nodeId FROM events WHERE id > ? ORDER BY id LIMIT ?', [afterId, limit]);
}

/** Finds the events with these ids that exist by now. */
export async function findEvents(db: Db, ids: readonly number[]): Promise<EventMark[]> {
  return ids.length === 0 ? [] : selectRows(db, `SELECT id, node_id AS nodeId FROM events WHERE id IN (${ids.map(() => '?').join(',')})`, ids);
}
