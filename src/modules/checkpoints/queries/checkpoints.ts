import { execute, fromJson, type Id, IN_SECONDS, marks, rowsOf, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { claimDue, renewClaim, type WorkQueue } from '../../../db/work-queue';
import type { FinalBackup } from '../final-backup';
import type { Archive, Checkpoint, ClaimedCheckpoint } from '../types';

interface CheckpointRow {
  lease_id: number;
  enabled: number;
  archives: unknown;
  last_at: Date | null;
  age: string | number | null;
  last_error: string | null;
}

const toCheckpoint = (row: CheckpointRow): Checkpoint => ({
  leaseId: row.lease_id,
  enabled: row.enabled === 1,
  archives: fromJson<Archive[]>(row.archives),
  lastAt: row.last_at,
  ageSeconds: row.age === null ? null : Number(row.age),
  error: row.last_error,
});

/** Reads the home backups of those of these leases that were rented while backups were enabled. */
export async function listCheckpoints(db: Db, leaseIds: number[]): Promise<Checkpoint[]> {
  if (leaseIds.length === 0) {
    return [];
  }
  const rows = await selectRows<CheckpointRow>(
    db,
    `SELECT lease_id, enabled, archives, last_at, GREATEST(0, TIMESTAMPDIFF(MICROSECOND, last_at, UTC_TIMESTAMP(3)) / 1000000) AS age, last_error
       FROM checkpoints WHERE lease_id IN (${leaseIds.map(() => '?').join(',')})`,
    leaseIds,
  );
  return rows.map(toCheckpoint);
}

/**
 * Returns the age of the oldest home backup among active leases whose next backup is overdue or failed. A lease without any backup counts
 * from its first account. 0: there is none.
 */
export async function findLateBackupAge(db: Db): Promise<number> {
  const row = await selectFirst<{ age: string | number | null }>(
    db,
    `SELECT TIMESTAMPDIFF(MICROSECOND, MIN(COALESCE(c.last_at, l.activated_at)), UTC_TIMESTAMP(3)) / 1000000 AS age
       FROM checkpoints c JOIN leases l ON l.id = c.lease_id
      WHERE c.due_at IS NOT NULL AND (c.failures > 0 OR c.due_at < UTC_TIMESTAMP(3)) AND l.state = 'active'`,
  );
  return Math.max(0, Number(row?.age ?? 0));
}

/** Inserts the rows of new leases, in the transaction of the rent. The first backups are due `seconds` from now. */
export async function insertCheckpoints(tx: Tx, leases: { leaseId: Id; enabled: boolean }[], seconds: number): Promise<void> {
  await execute(
    tx,
    `INSERT INTO checkpoints (lease_id, enabled, archives, due_at) VALUES ${rowsOf(leases, `(?, ?, '[]', IF(?, ${IN_SECONDS}, NULL))`)}`,
    leases.flatMap(({ leaseId, enabled }) => [leaseId, enabled, enabled, seconds]),
  );
}

/** Leases whose home backups are due. */
export const CHECKPOINTS: WorkQueue = { table: 'checkpoints', key: 'lease_id', dueAt: 'due_at', token: 'claim_token' };

/** Claims up to `limit` leases whose backups are due, the longest due first. */
export async function claimDueCheckpoints(tx: Tx, limit: number, claimSeconds: number): Promise<ClaimedCheckpoint[]> {
  const claiming = {
    columns: 'lease_id, claims, archives, failures',
    limit,
    claimSeconds,
    sets: 'claims = claims + 1, begun_at = UTC_TIMESTAMP(3)',
  };
  const { rows, token } = await claimDue<{ lease_id: number; claims: number; archives: unknown; failures: number }>(
    tx,
    CHECKPOINTS,
    claiming,
  );
  return rows.map((row) => ({
    leaseId: row.lease_id,
    token,
    number: row.claims + 1,
    archives: fromJson<Archive[]>(row.archives),
    failures: row.failures,
  }));
}

/** Renews the claim of a backup. False: the claim was lost; the caller must stop and change nothing. */
export const renewCheckpoint = (db: Db, { leaseId, token }: ClaimedCheckpoint, claimSeconds: number): Promise<boolean> =>
  renewClaim(db, CHECKPOINTS, { id: leaseId, token, claimSeconds });

/** The next backup is due at once if somebody requested a fresh one after this one began. */
const NEXT = `IF(wanted_at > begun_at, UTC_TIMESTAMP(3), ${IN_SECONDS})`;

/** Completes the claim: these archives are now what a restore needs. False: the claim was lost; nothing changed. */
export async function completeCheckpoint(
  tx: Tx,
  { leaseId, token }: ClaimedCheckpoint,
  { archives, seconds }: { archives: Archive[]; seconds: number },
): Promise<boolean> {
  const changed = await execute(
    tx,
    `UPDATE checkpoints SET archives = ?, last_at = begun_at, tried_at = begun_at, failures = 0, last_error = NULL, claim_token = NULL, due_at = ${NEXT}
      WHERE lease_id = ? AND claim_token = ?`,
    [JSON.stringify(archives), seconds, leaseId, token],
  );
  return changed === 1;
}

/** Fails the claim: what was stored before stays. False: the claim was lost. */
export async function failCheckpoint(
  tx: Tx,
  { leaseId, token }: ClaimedCheckpoint,
  { message, seconds }: { message: string; seconds: number },
): Promise<boolean> {
  const changed = await execute(
    tx,
    `UPDATE checkpoints SET tried_at = begun_at, failures = failures + 1, last_error = ?, claim_token = NULL, due_at = ${NEXT} WHERE lease_id = ? AND claim_token = ?`,
    [message.slice(0, 500), seconds, leaseId, token],
  );
  return changed === 1;
}

/** Gives a claim back, because there is no account to back up now. */
export async function postponeCheckpoint(db: Db, { leaseId, token }: ClaimedCheckpoint, seconds: number): Promise<void> {
  await execute(db, `UPDATE checkpoints SET claim_token = NULL, due_at = ${IN_SECONDS} WHERE lease_id = ? AND claim_token = ?`, [
    seconds,
    leaseId,
    token,
  ]);
}

/** Completes the removal of a lease's archives. False: the claim was lost. */
export async function completeRemoval(tx: Tx, { leaseId, token }: ClaimedCheckpoint): Promise<boolean> {
  const changed = await execute(
    tx,
    "UPDATE checkpoints SET archives = '[]', last_at = NULL, last_error = NULL, claim_token = NULL, due_at = NULL WHERE lease_id = ? AND claim_token = ?",
    [leaseId, token],
  );
  return changed === 1;
}

/**
 * Ends the backups of a lease that is over: its archives become due for removal, and any claim ends. Locks are taken in the order of the
 * tables: `leases` first, `checkpoints` last.
 */
export async function endCheckpoint(tx: Tx, leaseId: number): Promise<void> {
  await execute(
    tx,
    'UPDATE checkpoints SET due_at = UTC_TIMESTAMP(3), claim_token = NULL, wanted_at = NULL WHERE lease_id = ? AND enabled = 1',
    [leaseId],
  );
}

/** Ends any claim after a move of the lease, because that claim saves a home that is no longer current. */
export async function moveCheckpoint(tx: Tx, leaseId: number, seconds: number): Promise<void> {
  await execute(
    tx,
    `UPDATE checkpoints SET due_at = ${IN_SECONDS}, claim_token = NULL, wanted_at = NULL WHERE lease_id = ? AND enabled = 1`,
    [seconds, leaseId],
  );
}

/** Reads the state of the final backup of a planned move. Undefined: the lease has no backups. */
export async function findFinalBackup(tx: Tx, leaseId: number): Promise<FinalBackup | undefined> {
  const row = await selectFirst<{ wanted: string | number | null; tried: number }>(
    tx,
    `SELECT TIMESTAMPDIFF(MICROSECOND, wanted_at, UTC_TIMESTAMP(3)) / 1000000 AS wanted, COALESCE(tried_at >= wanted_at, 0) AS tried
       FROM checkpoints WHERE lease_id = ? AND enabled = 1`,
    [leaseId],
  );
  return row && { wantedSeconds: row.wanted === null ? null : Number(row.wanted), tried: row.tried === 1 };
}

/** Requests a backup now. A running backup began too early to count: another one follows it. */
export async function wantCheckpoint(tx: Tx, leaseId: number): Promise<void> {
  await execute(
    tx,
    'UPDATE checkpoints SET wanted_at = UTC_TIMESTAMP(3), due_at = IF(claim_token IS NULL, UTC_TIMESTAMP(3), due_at) WHERE lease_id = ?',
    [leaseId],
  );
}

/**
 * Forgets the request for a final backup when a planned move starts again. A request from before there was an account to back up does not
 * count.
 */
export async function forgetFinalBackup(tx: Tx, leaseId: number): Promise<void> {
  await execute(tx, 'UPDATE checkpoints SET wanted_at = NULL WHERE lease_id = ?', [leaseId]);
}

/** Stores a message that the tenant sees until the next backup is complete. */
export async function tellCheckpointError(tx: Tx, leaseId: number, message: string): Promise<void> {
  await execute(tx, 'UPDATE checkpoints SET last_error = ? WHERE lease_id = ?', [message.slice(0, 500), leaseId]);
}

/**
 * Selects those of these leases of which nothing may be stored any more: they ended and their archives were removed, or they are unknown.
 */
export async function selectForgotten(db: Db, leaseIds: number[]): Promise<number[]> {
  if (leaseIds.length === 0) {
    return [];
  }
  const rows = await selectRows<{ lease_id: number }>(
    db,
    `SELECT lease_id FROM checkpoints WHERE due_at IS NOT NULL AND lease_id IN (${leaseIds.map(() => '?').join(',')})`,
    leaseIds,
  );
  const known = new Set(rows.map((row) => row.lease_id));
  return leaseIds.filter((id) => !known.has(id));
}

/** Deletes the home backups' rows of these leases. Nothing of them is stored any more. */
export async function deleteCheckpoints(tx: Tx, leaseIds: number[]): Promise<void> {
  if (leaseIds.length > 0) {
    await execute(tx, `DELETE FROM checkpoints WHERE lease_id IN (${marks(leaseIds)})`, leaseIds);
  }
}
