import { execute, insertRow, selectFirst, selectRows } from '../../../db/sql';
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
export async function insertUserKey(db: Db, userId: number, key: { name: string; publicKey: string; fingerprint: string }): Promise<UserKey> {
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

/** False: the user has no such key. */
export async function deleteUserKey(db: Db, userId: number, keyId: number): Promise<boolean> {
  return (await execute(db, 'DELETE FROM user_keys WHERE id = ? AND user_id = ?', [keyId, userId])) === 1;
}
