import { execute, rowsOf, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Session } from '../types';

/**
 * Makes every token that the user has by now invalid. The caller has locked the user. The time lies a millisecond ahead, so that it is
 * later than the time of every token from before.
 */
export async function voidTokens(tx: Tx, id: number): Promise<void> {
  await execute(
    tx,
    'UPDATE users SET tokens_valid_from = GREATEST(UTC_TIMESTAMP(3), COALESCE(tokens_valid_from, created_at)) + INTERVAL 1000 MICROSECOND WHERE id = ?',
    [id],
  );
}

/** Returns the time for a new token of a user that the caller has locked: the database's, and not before the user's tokens became void. */
export async function findTokenTime(tx: Tx, userId: number): Promise<Date> {
  const row = await selectFirst<{ now: Date }>(
    tx,
    'SELECT GREATEST(UTC_TIMESTAMP(3), COALESCE(tokens_valid_from, created_at)) AS now FROM users WHERE id = ?',
    [userId],
  );
  if (!row) {
    throw new Error('a user vanished');
  }
  return row.now;
}

/** Revokes the token. It also deletes up to 100 rows of tokens that expired more than an hour ago. False: it was revoked already. */
export async function revokeToken(db: Db, tokenId: string, expiresAtSeconds: number): Promise<boolean> {
  const revoked = await execute(db, 'INSERT IGNORE INTO revoked_tokens (jti, expires_at) VALUES (?, FROM_UNIXTIME(?))', [
    tokenId,
    expiresAtSeconds,
  ]);
  await execute(db, 'DELETE FROM revoked_tokens WHERE expires_at < UTC_TIMESTAMP(3) - INTERVAL 1 HOUR LIMIT 100');
  return revoked === 1;
}

/** A use of a token. The first one comes from the login. */
export interface SessionUse {
  tokenId: string;
  userId: number;
  issuedAtSeconds: number;
  expiresAtSeconds: number;
  address: string | undefined;
  client: string | undefined;
  /** How long ago it was. */
  ageSeconds: number;
}

const USE = '(?, ?, FROM_UNIXTIME(?), UTC_TIMESTAMP(3) - INTERVAL ? SECOND, FROM_UNIXTIME(?), ?, ?)';

/** Records uses in one statement. It also adds the session of a token that another release issued. There must be at least one use. */
export async function noteSessions(db: Db, uses: SessionUse[]): Promise<void> {
  await execute(
    db,
    `INSERT INTO sessions (token_id, user_id, created_at, last_used_at, expires_at, address, client) VALUES ${rowsOf(uses, USE)}
     ON DUPLICATE KEY UPDATE address = IF(VALUES(last_used_at) > last_used_at, VALUES(address), address), last_used_at = GREATEST(last_used_at, VALUES(last_used_at))`,
    uses.flatMap((use) => [
      use.tokenId,
      use.userId,
      use.issuedAtSeconds,
      use.ageSeconds,
      use.expiresAtSeconds,
      use.address ?? null,
      asciiOf(use.client),
    ]),
  );
}

/** A caller chooses the text of its User-Agent. */
const asciiOf = (client: string | undefined): string | null => client?.replace(/[^\x20-\x7e]/g, '?').slice(0, 128) ?? null;

/** Deletes rows of tokens that expired more than an hour ago. */
export async function forgetExpiredSessions(db: Db): Promise<void> {
  await execute(db, 'DELETE FROM sessions WHERE expires_at < UTC_TIMESTAMP(3) - INTERVAL 1 HOUR LIMIT 1000');
}

interface SessionRow {
  token_id: string;
  created_at: Date;
  last_used_at: Date;
  expires_at: Date;
  address: string | null;
  client: string | null;
}

/** Lists the valid tokens of a user, the last used first. A token of another release is missing until a minute after its first use. */
export async function listSessions(db: Db, userId: number, limit: number): Promise<Session[]> {
  const rows = await selectRows<SessionRow>(
    db,
    `SELECT s.token_id, s.created_at, s.last_used_at, s.expires_at, s.address, s.client FROM sessions s JOIN users u ON u.id = s.user_id
      WHERE s.user_id = ? AND s.expires_at > UTC_TIMESTAMP(3) AND s.created_at >= COALESCE(u.tokens_valid_from, s.created_at)
        AND NOT EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.jti = s.token_id) ORDER BY s.last_used_at DESC, s.token_id LIMIT ?`,
    [userId, limit],
  );
  return rows.map((row) => ({
    tokenId: row.token_id,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
    address: row.address,
    client: row.client,
  }));
}

/** Returns when the token of a session expires. Undefined: the user has no such session. */
export async function findSessionEnd(db: Db, userId: number, tokenId: string): Promise<Date | undefined> {
  const row = await selectFirst<{ expires_at: Date }>(db, 'SELECT expires_at FROM sessions WHERE token_id = ? AND user_id = ?', [
    tokenId,
    userId,
  ]);
  return row?.expires_at;
}
