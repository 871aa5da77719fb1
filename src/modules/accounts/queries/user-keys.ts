import { execute, insertRow, marks, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { UserKey } from '../types';

interface UserKeyRow {
  id: number;
  name: string;
  public_key: string;
  fingerprint: string;
  created_at: Date;
}

const COLUMNS = 'id, name, public_key, fingerprint, created_at';

const toUserKey = (row: UserKeyRow): UserKey => ({
  id: row.id,
  name: row.name,
  publicKey: row.public_key,
  fingerprint: row.fingerprint,
  createdAt: row.created_at,
});

/** Throws ER_DUP_ENTRY on `user_keys_fingerprint` when the user has that key already. */
export async function insertUserKey(
  db: Db,
  userId: number,
  key: { name: string; publicKey: string; fingerprint: string },
): Promise<UserKey> {
  const id = await insertRow(db, 'INSERT INTO user_keys (user_id, name, public_key, fingerprint) VALUES (?, ?, ?, ?)', [
    userId,
    key.name,
    key.publicKey,
    key.fingerprint,
  ]);
  const row = await selectFirst<UserKeyRow>(db, `SELECT ${COLUMNS} FROM user_keys WHERE id = ?`, [id]);
  if (!row) {
    throw new Error('a key vanished');
  }
  return toUserKey(row);
}

export async function listUserKeys(db: Db, userId: number): Promise<UserKey[]> {
  return (await selectRows<UserKeyRow>(db, `SELECT ${COLUMNS} FROM user_keys WHERE user_id = ? ORDER BY id`, [userId])).map(toUserKey);
}

/** Deletes a key of the user and returns it. Undefined: the user has no such key. */
export async function deleteUserKey(db: Db, userId: number, keyId: number): Promise<UserKey | undefined> {
  const row = await selectFirst<UserKeyRow>(db, `SELECT ${COLUMNS} FROM user_keys WHERE id = ? AND user_id = ?`, [keyId, userId]);
  await execute(db, 'DELETE FROM user_keys WHERE id = ? AND user_id = ?', [keyId, userId]);
  return row && toUserKey(row);
}

export async function deleteUserKeys(db: Db, userId: number): Promise<void> {
  await execute(db, 'DELETE FROM user_keys WHERE user_id = ?', [userId]);
}

/** Lists public keys by user. A disabled user is missing. */
export async function listKeysOfUsers(db: Db, userIds: number[]): Promise<Map<number, string[]>> {
  if (userIds.length === 0) {
    return new Map();
  }
  const rows = await selectRows<{ id: number; publicKey: string | null }>(
    db,
    `SELECT u.id, k.public_key AS publicKey FROM users u LEFT JOIN user_keys k ON k.user_id = u.id WHERE u.id IN (${marks(userIds)}) AND u.disabled_at IS NULL ORDER BY k.id`,
    userIds,
  );
  return rows.reduce(
    (keys, { id, publicKey }) => keys.set(id, [...(keys.get(id) ?? []), ...(publicKey === null ? [] : [publicKey])]),
    new Map<number, string[]>(),
  );
}
