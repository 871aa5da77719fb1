import { marks, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { type Lease, RUNNING } from '../types';
import { LEASE_COLUMNS, type LeaseRow, toLease } from './lease-row';

export async function findLease(db: Db, id: number): Promise<Lease | undefined> {
  const row = await selectFirst<LeaseRow>(db, `SELECT ${LEASE_COLUMNS} FROM leases WHERE id = ?`, [id]);
  return row && toLease(row);
}

/** Reads the lease and locks it until the transaction ends. Locks are taken lease first, node second. */
export async function lockLease(tx: Tx, id: number): Promise<Lease | undefined> {
  const row = await selectFirst<LeaseRow>(tx, `SELECT ${LEASE_COLUMNS} FROM leases WHERE id = ? FOR UPDATE`, [id]);
  return row && toLease(row);
}

/**
 * Locks and reads the lease if it belongs to this user. Undefined: the lease belongs to another user, or there is none. With `ownerId`
 * undefined, for an admin, it finds the lease of any user.
 */
export async function lockOwnedLease(tx: Tx, id: number, ownerId: number | undefined): Promise<Lease | undefined> {
  const owner = ownerId === undefined ? '' : 'AND user_id = ?';
  const row = await selectFirst<LeaseRow>(
    tx,
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE id = ? ${owner} FOR UPDATE`,
    ownerId === undefined ? [id] : [id, ownerId],
  );
  return row && toLease(row);
}

export async function listLeasesOfRents(db: Db, rentIds: number[]): Promise<Lease[]> {
  return (
    await selectRows<LeaseRow>(db, `SELECT ${LEASE_COLUMNS} FROM leases WHERE rent_id IN (${marks(rentIds)}) ORDER BY id`, rentIds)
  ).map(toLease);
}

/**
 * Counts the leases that count against the quota, by user: running leases, which occupy a node. Users who have none are missing. The caller
 * has locked the users' rows.
 */
export async function countRunningLeases(tx: Tx, userIds: number[]): Promise<Map<number, number>> {
  const rows = await selectRows<{ user_id: number; n: number }>(
    tx,
    `SELECT user_id, COUNT(*) AS n FROM leases WHERE user_id IN (${marks(userIds)}) AND occupied_node_id IS NOT NULL GROUP BY user_id`,
    userIds,
  );
  return new Map(rows.map(({ user_id, n }) => [user_id, n]));
}

/** Counts the leases that are not over, by state, for metrics. The number of leases that are over only grows. */
export async function countLeases(db: Db): Promise<{ state: string; count: number }[]> {
  return selectRows(
    db,
    "SELECT state, COUNT(*) AS count FROM leases WHERE state IN ('provisioning','active','migrating','ending') GROUP BY state",
  );
}

/** Finds the users of these leases: user ids by lease id. */
export async function findOwners(db: Db, leaseIds: readonly number[]): Promise<Map<number, number>> {
  if (leaseIds.length === 0) {
    return new Map();
  }
  const rows = await selectRows<{ id: number; userId: number }>(
    db,
    `SELECT id, user_id AS userId FROM leases WHERE id IN (${leaseIds.map(() => '?').join(',')})`,
    leaseIds,
  );
  return new Map(rows.map(({ id, userId }) => [id, userId]));
}

export interface NextEnd {
  /** When the next lease ends, or null when none runs. */
  nextEndAt: Date | null;
  /** Seconds until then, at least 1. */
  retryAfterSeconds: number;
}

const DEFAULT_RETRY_SECONDS = 30;

/** Finds when the next lease ends, for a client that found no free node. */
export async function findNextEnd(db: Db): Promise<NextEnd> {
  // Reads the first lease of each state, by the index. A single query over all three states would read every running lease.
  const firsts = RUNNING.map(
    (state) => `(SELECT ends_at FROM leases WHERE state = '${state}' AND ends_at > UTC_TIMESTAMP(3) ORDER BY ends_at LIMIT 1)`,
  );
  const row = await selectFirst<{ ends_at: Date | null; seconds: string | number | null }>(
    db,
    `SELECT MIN(ends_at) AS ends_at, CEIL(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), MIN(ends_at)) / 1000000) AS seconds FROM (${firsts.join(' UNION ALL ')}) AS next`,
  );
  const seconds = Number(row?.seconds ?? DEFAULT_RETRY_SECONDS);
  return { nextEndAt: row?.ends_at ?? null, retryAfterSeconds: Math.max(1, seconds) };
}
