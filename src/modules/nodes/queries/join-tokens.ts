import { execute, fromJson, insertRow, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Decided } from '../declared';
import type { Labels } from '../types';

export interface JoinToken extends Decided {
  id: number;
  name: string;
  maxUses: number;
  uses: number;
  expiresAt: Date;
  revokedAt: Date | null;
  createdAt: Date;
}

interface JoinTokenRow {
  id: number;
  name: string;
  max_uses: number;
  uses: number;
  labels: unknown;
  max_cpus: number | null;
  max_memory_mb: number | null;
  expires_at: Date;
  revoked_at: Date | null;
  created_at: Date;
}

const COLUMNS = 'id, name, max_uses, uses, labels, max_cpus, max_memory_mb, expires_at, revoked_at, created_at';

const toJoinToken = (row: JoinTokenRow): JoinToken => ({
  id: row.id,
  name: row.name,
  maxUses: row.max_uses,
  uses: row.uses,
  labels: fromJson<Labels>(row.labels),
  maxCpus: row.max_cpus,
  maxMemoryMb: row.max_memory_mb,
  expiresAt: row.expires_at,
  revokedAt: row.revoked_at,
  createdAt: row.created_at,
});

export interface NewJoinToken extends Decided {
  name: string;
  tokenHash: string;
  /** Verifies proofs of the token. */
  publicKey: string;
  maxUses: number;
  ttlSeconds: number;
  createdBy: number | null;
}

export async function insertJoinToken(db: Db, token: NewJoinToken): Promise<JoinToken> {
  const id = await insertRow(
    db,
    `INSERT INTO join_tokens (name, token_hash, public_key, max_uses, labels, max_cpus, max_memory_mb, expires_at, created_by)
     VALUES (?, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3) + INTERVAL ? SECOND, ?)`,
    [
      token.name,
      token.tokenHash,
      token.publicKey,
      token.maxUses,
      JSON.stringify(token.labels),
      token.maxCpus,
      token.maxMemoryMb,
      token.ttlSeconds,
      token.createdBy,
    ],
  );
  const issued = await findJoinToken(db, id);
  if (!issued) {
    throw new Error('a join token vanished');
  }
  return issued;
}

export async function findJoinToken(db: Db, id: number): Promise<JoinToken | undefined> {
  const row = await selectFirst<JoinTokenRow>(db, `SELECT ${COLUMNS} FROM join_tokens WHERE id = ?`, [id]);
  return row && toJoinToken(row);
}

/** Returns the key that verifies a proof of the token with this hash. Undefined: there is no such token, or it is older than proofs. */
export async function findJoinKey(db: Db, tokenHash: string): Promise<string | undefined> {
  return (
    (await selectFirst<{ public_key: string | null }>(db, 'SELECT public_key FROM join_tokens WHERE token_hash = ?', [tokenHash]))
      ?.public_key ?? undefined
  );
}

/** Uses the token up by one. Undefined: the token is unknown, used up, expired or revoked; the result does not reveal which. */
export async function consumeJoinToken(tx: Tx, tokenHash: string): Promise<JoinToken | undefined> {
  const changed = await execute(
    tx,
    'UPDATE join_tokens SET uses = uses + 1 WHERE token_hash = ? AND uses < max_uses AND revoked_at IS NULL AND expires_at > UTC_TIMESTAMP(3)',
    [tokenHash],
  );
  if (changed === 0) {
    return undefined;
  }
  const row = await selectFirst<JoinTokenRow>(tx, `SELECT ${COLUMNS} FROM join_tokens WHERE token_hash = ?`, [tokenHash]);
  return row && toJoinToken(row);
}

export async function listJoinTokens(db: Db, afterId: number, limit: number): Promise<JoinToken[]> {
  return (await selectRows<JoinTokenRow>(db, `SELECT ${COLUMNS} FROM join_tokens WHERE id > ? ORDER BY id LIMIT ?`, [afterId, limit])).map(
    toJoinToken,
  );
}

/** Revokes a join token. False: there is no such token, or it is revoked already. */
export async function revokeJoinToken(db: Db, id: number): Promise<boolean> {
  return (await execute(db, 'UPDATE join_tokens SET revoked_at = UTC_TIMESTAMP(3) WHERE id = ? AND revoked_at IS NULL', [id])) === 1;
}
