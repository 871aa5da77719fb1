import { execute, IN_SECONDS, selectFirst } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { couldBeUsername } from '../usernames';

/** Returns the stored hash of a user's password. */
export async function findPasswordHash(db: Db, userId: number): Promise<string | undefined> {
  return (await selectFirst<{ hash: string }>(db, 'SELECT password_hash AS hash FROM users WHERE id = ?', [userId]))?.hash;
}

/**
 * Locks the user if the account is enabled and still has this password. False: it changed after the caller had checked it. So a login
 * with the old password commits before the change, which then makes its token void, or it fails.
 */
export async function lockUserWithPassword(tx: Tx, userId: number, passwordHash: string): Promise<boolean> {
  const row = await selectFirst<{ hash: string; disabled: number }>(
    tx,
    'SELECT password_hash AS hash, disabled_at IS NOT NULL AS disabled FROM users WHERE id = ? FOR UPDATE',
    [userId],
  );
  return row?.hash === passwordHash && row.disabled === 0;
}

/** Sets the password that a user has chosen. It uses up the one-time code. */
export async function setPassword(tx: Tx, userId: number, passwordHash: string): Promise<void> {
  const sql = 'UPDATE users SET password_hash = ?, must_change_password = 0, code_hash = NULL, code_expires_at = NULL WHERE id = ?';
  await execute(tx, sql, [passwordHash, userId]);
}

/** Stores the hash of a one-time code, in place of an earlier one. Returns when it expires. */
export async function setCode(tx: Tx, userId: number, { hash, seconds }: { hash: string; seconds: number }): Promise<Date> {
  await execute(tx, `UPDATE users SET code_hash = ?, code_expires_at = ${IN_SECONDS} WHERE id = ?`, [hash, seconds, userId]);
  const row = await selectFirst<{ at: Date }>(tx, 'SELECT code_expires_at AS at FROM users WHERE id = ?', [userId]);
  if (!row) {
    throw new Error('a user vanished');
  }
  return row.at;
}

const OF_CODE = 'username = ? AND code_hash = ? AND code_expires_at > UTC_TIMESTAMP(3) AND disabled_at IS NULL';

/** Finds the user of a one-time code that is valid now, and locks the user if `locks`. */
export async function findUserOfCode(
  db: Db,
  { username, codeHash }: { username: string; codeHash: string },
  { locks }: { locks: boolean },
): Promise<number | undefined> {
  if (!couldBeUsername(username)) {
    return undefined;
  }
  const sql = `SELECT id FROM users WHERE ${OF_CODE}${locks ? ' FOR UPDATE' : ''}`;
  return (await selectFirst<{ id: number }>(db, sql, [username, codeHash]))?.id;
}

/** Deletes the user as far as the history allows: nobody can log in any more, and the row stays. The hash fits no password. */
export async function markDeleted(tx: Tx, userId: number, passwordHash: string): Promise<void> {
  await execute(
    tx,
    `UPDATE users SET deleted_at = UTC_TIMESTAMP(3), disabled_at = COALESCE(disabled_at, UTC_TIMESTAMP(3)), password_hash = ?, code_hash = NULL,
            code_expires_at = NULL WHERE id = ?`,
    [passwordHash, userId],
  );
}
