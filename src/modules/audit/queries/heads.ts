import { execute, selectFirst } from '../../../db/sql';
import type { Db } from '../../../db/transaction';

/** A signed head, as it is stored. */
export interface StoredHead {
  size: number;
  root: Buffer;
  /** The head as a signed note. */
  note: string;
  /** `ssh-ed25519 base64`. */
  publicKey: string;
  at: Date;
  ageSeconds: number;
}

/** The newest head. Undefined: nothing was ever sealed. */
export function findNewestHead(db: Db): Promise<StoredHead | undefined> {
  return selectFirst<StoredHead>(
    db,
    `SELECT size, root, note, public_key AS publicKey, created_at AS at,
            TIMESTAMPDIFF(MICROSECOND, created_at, UTC_TIMESTAMP(3)) / 1000000.0E0 AS ageSeconds
       FROM audit_heads ORDER BY size DESC LIMIT 1`,
  );
}

/** Stores a head, unless another process has stored one of this size. */
export async function insertHead(db: Db, { size, root, note, publicKey, at }: Omit<StoredHead, 'ageSeconds'>): Promise<void> {
  const values = [size, root, note, publicKey, at];
  await execute(db, 'INSERT IGNORE INTO audit_heads (size, root, note, public_key, created_at) VALUES (?, ?, ?, ?, ?)', values);
}

/** Heads are needed as long as somebody wants to compare them. The entries prove that each newer head continues them. */
const KEPT_DAYS = 7;
const DELETED_AT_ONCE = 100;

/** Deletes old heads, some at a time. `newest` stays. */
export async function deleteOldHeads(db: Db, newest: number): Promise<void> {
  const old = 'size < ? AND created_at < UTC_TIMESTAMP(3) - INTERVAL ? DAY';
  await execute(db, `DELETE FROM audit_heads WHERE ${old} ORDER BY size LIMIT ?`, [newest, KEPT_DAYS, DELETED_AT_ONCE]);
}

export async function databaseTime(db: Db): Promise<Date> {
  const row = await selectFirst<{ now: Date }>(db, 'SELECT UTC_TIMESTAMP(3) AS now');
  return row?.now ?? new Date(NaN);
}
