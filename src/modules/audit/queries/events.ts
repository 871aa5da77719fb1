import { type Bindings, execute, fromJson, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { EventOutcome, EventType, MoveCause } from '../../../lib/event-types';
import { currentOrigin } from '../../../lib/origin';
import type { EventFilter, NewEvent, RecordedEvent } from '../types';

/** Writes an event. The caller passes the transaction of the change that the event describes. */
export function recordEvent(db: Db, event: NewEvent): Promise<void> {
  return recordEvents(db, [event]);
}

/** Writes several events in one statement. There must be at least one. */
export async function recordEvents(db: Db, events: NewEvent[]): Promise<void> {
  const rows = events.map(rowOf);
  // A SELECT reads the lease without a lock. A subquery in VALUES would lock the row, out of the order of locks.
  const source = events.some(needsOwner)
    ? rows.map((row) => `SELECT ${row}`).join(' UNION ALL ')
    : `VALUES ${rows.map((row) => `(${row})`).join(',')}`;
  const columns = 'type, outcome, actor, lease_id, node_id, user_id, address, request_id, token_id, data, trace_id';
  await execute(db, `INSERT INTO events (${columns}) ${source}`, events.flatMap(valuesOf));
}

/** The owner of the lease stands in for a missing user, so that the log tells whose lease each event is about. */
const needsOwner = ({ userId, leaseId }: NewEvent): boolean => userId === undefined && leaseId !== undefined;

const OWNER = '(SELECT user_id FROM leases WHERE id = ?)';
const rowOf = (event: NewEvent): string => `?, ?, ?, ?, ?, ${needsOwner(event) ? OWNER : '?'}, ?, ?, ?, ?, ?`;

function valuesOf({ type, actor, leaseId, nodeId, userId, data, origin = currentOrigin() }: NewEvent): Bindings {
  const { address, requestId, tokenId, trace } = origin ?? {};
  const subject = userId ?? leaseId;
  const values = [
    type,
    outcomeOf(type),
    actor,
    leaseId,
    nodeId,
    subject,
    address,
    requestId,
    tokenId,
    JSON.stringify(data ?? {}),
    trace?.traceId,
  ];
  return values.map((value) => value ?? null);
}

function outcomeOf(type: EventType): EventOutcome {
  if (type === 'access.refused' || type === 'user.login_failed' || type === 'node.clone_refused') {
    return 'refused';
  }
  return type.endsWith('failed') ? 'failed' : 'done';
}

export interface EventRow {
  id: number;
  at: Date;
  type: EventType;
  actor: string;
  outcome: EventOutcome | null;
  lease_id: number | null;
  node_id: number | null;
  user_id: number | null;
  address: string | null;
  request_id: string | null;
  token_id: string | null;
  data: unknown;
}

const toEvent = (row: EventRow): RecordedEvent => ({
  id: row.id,
  at: row.at,
  type: row.type,
  actor: row.actor,
  outcome: row.outcome,
  leaseId: row.lease_id,
  nodeId: row.node_id,
  userId: row.user_id,
  address: row.address,
  requestId: row.request_id,
  tokenId: row.token_id,
  data: fromJson<Record<string, unknown>>(row.data),
});

const COLUMNS = 'id, at, type, actor, outcome, lease_id, node_id, user_id, address, request_id, token_id, data';

/**
 * A page of the audit log, newest first. The query names the index of its most selective filter, because the server by itself may walk over
 * every event that is newer than the page.
 */
export async function listEvents(db: Db, filter: EventFilter): Promise<RecordedEvent[]> {
  const { type, actor, userId, nodeId, leaseId, from, to, beforeId, limit } = filter;
  const { firstId, lastId } = await findBounds(db, filter);
  const conditions: [sql: string, value: string | number | Date | undefined][] = [
    ['lease_id = ?', leaseId],
    ['node_id = ?', nodeId],
    ['user_id = ?', userId],
    ['actor = ?', actor],
    ['type = ?', type],
    ['at >= ?', from],
    ['id >= ?', firstId],
    ['at < ?', to],
    ['id <= ?', lastId],
    ['id < ?', beforeId],
  ];
  const given = conditions.filter((each): each is [string, string | number | Date] => each[1] !== undefined);
  const where = given.map(([sql]) => sql).join(' AND ') || 'TRUE';
  const sql = `SELECT ${COLUMNS} FROM events FORCE INDEX (${indexFor(filter)}) WHERE ${where} ORDER BY id DESC LIMIT ?`;
  return (await selectRows<EventRow>(db, sql, [...given.map(([, value]) => value), limit])).map(toEvent);
}

/** Ids follow the times of events, except that events recorded at once may be this far out of order. */
const OUT_OF_ORDER = 1_000;

/** The ids that events of these times may have, so that a page does not walk over newer ones. */
async function findBounds(db: Db, { from, to }: EventFilter): Promise<{ firstId: number | undefined; lastId: number | undefined }> {
  const idOf = async (sql: string, at: Date): Promise<number | undefined> => (await selectFirst<{ id: number }>(db, sql, [at]))?.id;
  const first = from && ((await idOf('SELECT id FROM events WHERE at >= ? ORDER BY at, id LIMIT 1', from)) ?? Number.MAX_SAFE_INTEGER);
  const last = to && ((await idOf('SELECT id FROM events WHERE at < ? ORDER BY at DESC, id DESC LIMIT 1', to)) ?? 0);
  return {
    firstId: first === undefined ? undefined : Math.max(0, first - OUT_OF_ORDER),
    lastId: last === undefined ? undefined : last + OUT_OF_ORDER,
  };
}

function indexFor({ leaseId, nodeId, userId, actor, type }: EventFilter): string {
  const indexes = { events_lease: leaseId, events_node: nodeId, events_user: userId, events_actor: actor, events_type: type };
  return Object.entries(indexes).find(([, value]) => value !== undefined)?.[0] ?? 'PRIMARY';
}

/** Lists the events of a lease, oldest first. */
export async function listLeaseEvents(db: Db, leaseId: number, limit: number): Promise<RecordedEvent[]> {
  return (await selectRows<EventRow>(db, `SELECT ${COLUMNS} FROM events WHERE lease_id = ? ORDER BY id LIMIT ?`, [leaseId, limit])).map(
    toEvent,
  );
}

/** Returns why the lease began to leave its node the last time. An event of an older release names no cause, and counts as a death. */
export async function findMoveCause(db: Db, leaseId: number): Promise<MoveCause> {
  const row = await selectFirst<{ cause: MoveCause | null }>(
    db,
    `SELECT JSON_VALUE(data, '$.cause') AS cause FROM events FORCE INDEX (events_lease)
      WHERE lease_id = ? AND type = 'lease.migrating' ORDER BY id DESC LIMIT 1`,
    [leaseId],
  );
  return row?.cause ?? 'death';
}

export async function findLastEventId(db: Db): Promise<number> {
  return (await selectFirst<{ id: number | null }>(db, 'SELECT MAX(id) AS id FROM events'))?.id ?? 0;
}

export interface SoughtEvent {
  type: EventType;
  of: 'node' | 'lease';
  id: number;
  /** Default: any event of the type matches. */
  is?: (data: Record<string, unknown>) => boolean;
  seconds: number;
}

/** How many of the newest events of a node or a lease `countEventsLately` reads, however long its history is. */
const LATELY = 50;

/** Counts the matching events that are among the 50 newest of the node or the lease, and not older than `seconds`. */
export async function countEventsLately(db: Db, { type, of, id, is = () => true, seconds }: SoughtEvent): Promise<number> {
  const rows = await selectRows<{ type: EventType; data: unknown; isRecent: number }>(
    db,
    `SELECT type, data, at > UTC_TIMESTAMP(3) - INTERVAL ? SECOND AS isRecent FROM events WHERE ${of}_id = ? ORDER BY id DESC LIMIT ?`,
    [seconds, id, LATELY],
  );
  return rows.filter((row) => row.isRecent === 1 && row.type === type && is(fromJson<Record<string, unknown>>(row.data))).length;
}

export const hasEventLately = async (db: Db, sought: SoughtEvent): Promise<boolean> => (await countEventsLately(db, sought)) > 0;

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
  return ids.length === 0
    ? []
    : selectRows(db, `SELECT id, node_id AS nodeId FROM events WHERE id IN (${ids.map(() => '?').join(',')})`, ids);
}
