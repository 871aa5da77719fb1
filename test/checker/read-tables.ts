import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { EventRecord, Tables } from './evidence';
import { readSealed } from './read-sealed';

/** A DATETIME(3) as milliseconds; the connection reads it in UTC. */
const ms = (column: string): string => `ROUND(UNIX_TIMESTAMP(${column}) * 1000)`;

type Row = RowDataPacket & Record<string, unknown>;

const number = (value: unknown): number => Number(value);
const orNull = (value: unknown): number | null => (value === null ? null : Number(value));
const text = (value: unknown): string => String(value);
const flag = (value: unknown): boolean => Number(value) === 1;

/** Reads every table that an invariant speaks of, in one consistent snapshot. Needs nothing but SELECT. */
export async function readTables(connection: Connection): Promise<Tables> {
  await connection.query("SET time_zone = '+00:00', tx_isolation = 'REPEATABLE-READ'");
  await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
  const rows = async (sql: string): Promise<Row[]> => (await connection.query<Row[]>(sql))[0];
  try {
    return await readAll(rows);
  } finally {
    await connection.query('COMMIT');
  }
}

async function readAll(rows: (sql: string) => Promise<Row[]>): Promise<Tables> {
  const [clock] = await rows(`SELECT ${ms('UTC_TIMESTAMP(3)')} AS now`);
  const leases = await rows(
    `SELECT id, rent_id, user_id, state, generation, occupied_node_id, ${ms('created_at')} AS created, ${ms('ends_at')} AS ends, ${ms('due_at')} AS due, ${ms('ended_at')} AS ended, end_reason FROM leases`,
  );
  const placements = await rows(
    `SELECT id, lease_id, node_id, generation, current_lease_id, state, username, uid, access_wanted, ${ms('created_at')} AS created, ${ms('wiped_at')} AS wiped FROM placements`,
  );
  const nodes = await rows(
    `SELECT id, hostname, status, drained, dirty, leasable, lease_id, host_key, ${ms('wiped_at')} AS wiped, ${ms('last_checked_at')} AS checked, ${ms('logged_in_at')} AS logged_in,
            ${ms('first_failed_at')} AS failed, ${ms('last_death_at')} AS death FROM nodes`,
  );
  const rents = await rows('SELECT id, user_id, idempotency_key FROM rents');
  const extensions = await rows(
    `SELECT id, lease_id, idempotency_key, ${ms('ends_before')} AS before_ms, ${ms('ends_after')} AS after_ms, ${ms('created_at')} AS created FROM extensions`,
  );
  const events = await rows(`SELECT id, ${ms('at')} AS at_ms, type, lease_id, node_id, data FROM events ORDER BY id`);
  const [plane] = await rows(
    `SELECT ${ms('last_tick_at')} AS tick, ${ms('judged_since')} AS judged, ${ms('brake_since')} AS brake FROM control_plane`,
  );
  const blocks = await rows('SELECT first, node_id FROM uid_blocks');
  const keys = await rows(
    `SELECT CONCAT(TABLE_NAME, '(', GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX), ')') AS name FROM information_schema.STATISTICS
      WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0 GROUP BY TABLE_NAME, INDEX_NAME`,
  );
  return {
    now: number(clock?.['now']),
    leases: leases.map((row) => ({
      id: number(row['id']),
      rentId: number(row['rent_id']),
      userId: number(row['user_id']),
      state: text(row['state']),
      generation: number(row['generation']),
      occupiedNodeId: orNull(row['occupied_node_id']),
      createdAt: number(row['created']),
      endsAt: number(row['ends']),
      dueAt: orNull(row['due']),
      endedAt: orNull(row['ended']),
      endReason: row['end_reason'] === null ? null : text(row['end_reason']),
    })),
    placements: placements.map((row) => ({
      id: number(row['id']),
      leaseId: number(row['lease_id']),
      nodeId: number(row['node_id']),
      generation: number(row['generation']),
      currentLeaseId: orNull(row['current_lease_id']),
      state: text(row['state']),
      username: text(row['username']),
      uid: number(row['uid']),
      accessWanted: number(row['access_wanted']),
      createdAt: number(row['created']),
      wipedAt: orNull(row['wiped']),
    })),
    nodes: nodes.map((row) => ({
      id: number(row['id']),
      hostname: text(row['hostname']),
      status: text(row['status']),
      drained: flag(row['drained']),
      dirty: flag(row['dirty']),
      leasable: flag(row['leasable']),
      leaseId: orNull(row['lease_id']),
      wipedAt: orNull(row['wiped']),
      lastCheckedAt: orNull(row['checked']),
      loggedInAt: orNull(row['logged_in']),
      hostKey: text(row['host_key']),
      firstFailedAt: orNull(row['failed']),
      lastDeathAt: orNull(row['death']),
    })),
    rents: rents.map((row) => ({
      id: number(row['id']),
      userId: number(row['user_id']),
      idempotencyKey: row['idempotency_key'] === null ? null : text(row['idempotency_key']),
    })),
    extensions: extensions.map((row) => ({
      id: number(row['id']),
      leaseId: number(row['lease_id']),
      idempotencyKey: row['idempotency_key'] === null ? null : text(row['idempotency_key']),
      endsBefore: number(row['before_ms']),
      endsAfter: number(row['after_ms']),
      at: number(row['created']),
    })),
    events: events.map(toEvent),
    sealed: await readSealed(rows),
    controlPlane: {
      lastTickAt: number(plane?.['tick']),
      judgedSince: number(plane?.['judged']),
      breakerSince: orNull(plane?.['brake'] ?? null),
    },
    uidBlocks: blocks.map((row) => ({ first: number(row['first']), nodeId: orNull(row['node_id']) })),
    uniqueKeys: keys.map((row) => text(row['name'])),
  };
}

function toEvent(row: Row): EventRecord {
  const data: unknown = row['data'];
  return {
    id: number(row['id']),
    at: number(row['at_ms']),
    type: text(row['type']),
    leaseId: orNull(row['lease_id']),
    nodeId: orNull(row['node_id']),
    data: (typeof data === 'string' ? JSON.parse(data) : data) as Record<string, unknown>,
  };
}
