import { selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Lease } from '../types';
import { LEASE_COLUMNS, type LeaseRow, toLease } from './lease-row';

export async function findLease(db: Db, id: number): Promise<Lease | undefined> {
  const row = await selectFirst<LeaseRow>(db, `SELECT ${LEASE_COLUMNS} FROM leases WHERE id = ?`, [id]);
  return row && toLease(row);
}

/** The lease, locked until the transaction ends. Locks are taken lease first, node second. */
export async function lockLease(tx: Tx, id: number): Promise<Lease | undefined> {
  const row = await selectFirst<LeaseRow>(tx, `SELECT ${LEASE_COLUMNS} FROM leases WHERE id = ? FOR UPDATE`, [id]);
  return row && toLease(row);
}

/** The lease if it is this user's; undefined for another's just as for none. Locked. `ownerId` undefined: an admin asks. */
export async function lockOwnedLease(tx: Tx, id: number, ownerId: number | undefined): Promise<Lease | undefined> {
  const owner = ownerId === undefined ? '' : 'AND user_id = ?';
  const row = await selectFirst<LeaseRow>(
    tx,
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE id = ? ${owner} FOR UPDATE`,
    ownerId === undefined ? [id] : [id, ownerId],
  );
  return row && toLease(row);
}

export async function listLeasesOfRent(db: Db, rentId: number): Promise<Lease[]> {
  return (await selectRows<LeaseRow>(db, `SELECT ${LEASE_COLUMNS} FROM leases WHERE rent_id = ? ORDER BY id`, [rentId])).map(toLease);
}

export interface LeaseFilter {
  /** Undefined: every user's, for admins. */
  ownerId: number | undefined;
  /** Leave out those that are over. */
  runningOnly: boolean;
  /** Ids below this one (newest first), or undefined for the first page. */
  beforeId: number | undefined;
  limit: number;
}

export async function listLeases(db: Db, filter: LeaseFilter): Promise<Lease[]> {
  const conditions = ['1 = 1'];
  const bindings: number[] = [];
  if (filter.ownerId !== undefined) {
    conditions.push('user_id = ?');
    bindings.push(filter.ownerId);
  }
  if (filter.runningOnly) {
    conditions.push("state IN ('provisioning','active','migrating','ending')");
  }
  if (filter.beforeId !== undefined) {
    conditions.push('id < ?');
    bindings.push(filter.beforeId);
  }
  const sql = `SELECT ${LEASE_COLUMNS} FROM leases WHERE ${conditions.join(' AND ')} ORDER BY id DESC LIMIT ?`;
  return (await selectRows<LeaseRow>(db, sql, [...bindings, filter.limit])).map(toLease);
}

/** Leases that count against the quota. Call with the user's row locked. */
export async function countRunningLeases(tx: Tx, userId: number): Promise<number> {
  const row = await selectFirst<{ n: number }>(
    tx,
    "SELECT COUNT(*) AS n FROM leases WHERE user_id = ? AND state IN ('provisioning','active','migrating')",
    [userId],
  );
  return row?.n ?? 0;
}

export async function countLeases(db: Db): Promise<{ state: string; count: number }[]> {
  return selectRows(db, 'SELECT state, COUNT(*) AS count FROM leases GROUP BY state');
}

/** Which of these leases are the user's. */
export async function selectOwnedLeases(db: Db, userId: number, leaseIds: number[]): Promise<Set<number>> {
  if (leaseIds.length === 0) {
    return new Set();
  }
  const rows = await selectRows<{ id: number }>(db, `SELECT id FROM leases WHERE user_id = ? AND id IN (${leaseIds.map(() => '?').join(',')})`, [userId, ...leaseIds]);
  return new Set(rows.map(({ id }) => id));
}
