import { execute, IN_SECONDS, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { leaseState } from '../moves';
import type { DueRows } from '../../../db/work-queue';
import type { EndReason, Lease, LeaseState } from '../types';
import { noteCause } from './placements';
import { LEASE_COLUMNS, type LeaseRow, toLease } from './lease-row';

/** Running states, in which leases expire. There is one query for each state, so that the index serves filter and order. */
const EXPIRING: readonly LeaseState[] = ['active', 'migrating', 'provisioning'];

/** Leases whose end has passed. */
export const EXPIRED: DueRows = {
  table: 'leases',
  dueAt: 'ends_at',
  where: `state IN (${EXPIRING.map((state) => `'${state}'`).join(',')})`,
};

/** Leases that wait to be moved. */
export const MIGRATIONS: DueRows = { table: 'leases', dueAt: 'due_at', where: "state = 'migrating'" };

/** Locks up to `limit` leases whose end has passed by the database's clock. It skips leases that other transactions have locked. */
export async function lockExpiredLeases(tx: Tx, limit: number): Promise<Lease[]> {
  const found: Lease[] = [];
  for (const state of EXPIRING) {
    const rows = await selectRows<LeaseRow>(
      tx,
      `SELECT ${LEASE_COLUMNS} FROM leases WHERE state = ? AND ends_at <= UTC_TIMESTAMP(3) ORDER BY ends_at, id LIMIT ? FOR UPDATE SKIP LOCKED`,
      [state, limit - found.length],
    );
    found.push(...rows.map(toLease));
    if (found.length >= limit) {
      break;
    }
  }
  return found;
}

/** Locks the longest due lease that waits to be moved, or none. */
export async function lockDueMigration(tx: Tx): Promise<Lease | undefined> {
  const row = await selectFirst<LeaseRow>(
    tx,
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE state = 'migrating' AND due_at <= UTC_TIMESTAMP(3) ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED`,
  );
  return row && toLease(row);
}

const ACTIVATE = leaseState.update('activate', {
  set: 'activated_at = COALESCE(activated_at, UTC_TIMESTAMP(3)), due_at = NULL, waiting_since = NULL, migrating_since = NULL',
  where: 'id = ? AND generation = ?',
});

/** Makes the lease active, because its account is there. False: the lease ended or moved meanwhile. */
export async function activateLease(tx: Tx, leaseId: number, generation: number): Promise<boolean> {
  return (await execute(tx, ACTIVATE, [leaseId, generation])) === 1;
}

const MIGRATE = leaseState.update('migrate', {
  set: 'due_at = UTC_TIMESTAMP(3), migrating_since = COALESCE(migrating_since, UTC_TIMESTAMP(3))',
  where: 'id = ?',
});

/**
 * Marks the lease for migration, because its node is lost or must be left. The next migration pass reads it, with the current act as its
 * cause. False: the lease was neither active nor migrating.
 */
export async function markMigrating(tx: Tx, leaseId: number): Promise<boolean> {
  const marked = (await execute(tx, MIGRATE, [leaseId])) === 1;
  await (marked && noteCause(tx, leaseId));
  return marked;
}

/** Makes a migrating lease wait for `seconds`, because no node is free. True: the lease was not waiting before. */
export async function markWaiting(tx: Tx, lease: Lease, seconds: number): Promise<boolean> {
  await execute(tx, `UPDATE leases SET due_at = ${IN_SECONDS}, waiting_since = COALESCE(waiting_since, UTC_TIMESTAMP(3)) WHERE id = ?`, [
    seconds,
    lease.id,
  ]);
  return lease.waitingSince === null;
}

/** Takes a migrating lease off the queue of migrations: its node came back, and a scheduler makes sure that its account is there. */
export async function stopWaiting(tx: Tx, leaseId: number): Promise<void> {
  await execute(tx, "UPDATE leases SET due_at = NULL, waiting_since = NULL WHERE id = ? AND state = 'migrating'", [leaseId]);
}

const STAY = leaseState.update('stay', {
  set: 'migrating_since = NULL',
  where: "id = ? AND EXISTS (SELECT 1 FROM placements p WHERE p.current_lease_id = leases.id AND p.state = 'present')",
});

/**
 * Makes a migrating lease active again whose account is still there, on a node that it may stay on after all. False: its account is not
 * there.
 */
export async function reactivateLease(tx: Tx, leaseId: number): Promise<boolean> {
  return (await execute(tx, STAY, [leaseId])) === 1;
}

/** Postpones a migration whose attempt threw, or whose node is not judged yet. So it does not stay at the head of the queue. */
export async function postponeMigration(db: Db, leaseId: number, seconds: number): Promise<void> {
  await execute(db, `UPDATE leases SET due_at = ${IN_SECONDS} WHERE id = ? AND state = 'migrating'`, [seconds, leaseId]);
}

/** Puts the new placement's node and generation on its lease. */
export async function relocateLease(tx: Tx, leaseId: number, nodeId: number): Promise<void> {
  await execute(
    tx,
    'UPDATE leases SET occupied_node_id = ?, generation = generation + 1, due_at = NULL, waiting_since = NULL WHERE id = ?',
    [nodeId, leaseId],
  );
}

const closing = (move: 'end' | 'endOnLostNode' | 'fail', endedAt: string): string =>
  leaseState.update(move, {
    set: `occupied_node_id = NULL, due_at = NULL, waiting_since = NULL, end_reason = ?, password_hash = NULL, ended_at = ${endedAt}`,
    where: 'id = ?',
  });

const CLOSE = {
  ending: closing('end', 'NULL'),
  ended: closing('endOnLostNode', 'UTC_TIMESTAMP(3)'),
  failed: closing('fail', 'UTC_TIMESTAMP(3)'),
};

/**
 * Closes a running lease: it occupies no node from here on. `ending`: its account is being wiped. `ended`: there is no node to wipe it on
 * now. `failed`: no node could make an account of its rent. False: the lease was over already.
 */
export async function closeLease(tx: Tx, leaseId: number, { to, reason }: { to: keyof typeof CLOSE; reason: EndReason }): Promise<boolean> {
  return (await execute(tx, CLOSE[to], [reason, leaseId])) === 1;
}

const FINISH = leaseState.update('finish', { set: 'ended_at = UTC_TIMESTAMP(3)', where: 'id = ?' });

/** Ends leases that were `ending`: their wipe is done, or must wait until the node comes back. Returns their ids. */
export async function endLeases(tx: Tx, leaseIds: number[]): Promise<number[]> {
  const ended: number[] = [];
  for (const id of leaseIds) {
    if ((await execute(tx, FINISH, [id])) === 1) {
      ended.push(id);
    }
  }
  return ended;
}

export interface Extension {
  leaseId: number;
  idempotencyKey: string | null;
  seconds: number;
  extendedBy: number;
}

/**
 * I4: moves the end of a lease and records the extension, in the caller's transaction. The caller has locked the lease and found it
 * running.
 */
export async function extendEnd(tx: Tx, { leaseId, idempotencyKey, seconds, extendedBy }: Extension): Promise<void> {
  await execute(
    tx,
    `INSERT INTO extensions (lease_id, idempotency_key, ends_before, ends_after, extended_by)
     SELECT id, ?, ends_at, TIMESTAMPADD(MICROSECOND, ROUND(? * 1000) * 1000, ends_at), ? FROM leases WHERE id = ?`,
    [idempotencyKey, seconds, extendedBy, leaseId],
  );
  await execute(tx, 'UPDATE leases SET ends_at = TIMESTAMPADD(MICROSECOND, ROUND(? * 1000) * 1000, ends_at) WHERE id = ?', [
    seconds,
    leaseId,
  ]);
}

/** Returns the seconds by which the extension with this idempotency key moved the end. Undefined: the key is new. */
export async function findExtension(db: Db, leaseId: number, idempotencyKey: string): Promise<number | undefined> {
  const row = await selectFirst<{ seconds: string | number }>(
    db,
    'SELECT TIMESTAMPDIFF(MICROSECOND, ends_before, ends_after) / 1000000 AS seconds FROM extensions WHERE lease_id = ? AND idempotency_key = ?',
    [leaseId, idempotencyKey],
  );
  return row && Number(row.seconds);
}
