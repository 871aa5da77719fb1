import { execute, insertRow, marks, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Role, TokenOfUser, User } from '../types';
import { couldBeUsername } from '../usernames';

interface UserRow {
  id: number;
  username: string;
  role: Role;
  max_leases: number;
  max_lease_hours: number;
  disabled_at: Date | null;
  access_version: number;
  created_at: Date;
}

const COLUMNS = 'id, username, role, max_leases, max_lease_hours, disabled_at, access_version, created_at';

const toUser = (row: UserRow): User => ({
  id: row.id,
  username: row.username,
  role: row.role,
  maxLeases: row.max_leases,
  maxLeaseHours: row.max_lease_hours,
  disabledAt: row.disabled_at,
  accessVersion: row.access_version,
  createdAt: row.created_at,
});

export interface NewUser {
  username: string;
  passwordHash: string;
  role: Role;
  maxLeases: number;
  maxLeaseHours: number;
}

/** Throws ER_DUP_ENTRY on `users_username` when the name is taken. */
export async function insertUser(db: Db, user: NewUser): Promise<User> {
  const id = await insertRow(db, 'INSERT INTO users (username, password_hash, role, max_leases, max_lease_hours) VALUES (?, ?, ?, ?, ?)', [
    user.username,
    user.passwordHash,
    user.role,
    user.maxLeases,
    user.maxLeaseHours,
  ]);
  const created = await findUser(db, id);
  if (!created) {
    throw new Error('a user vanished');
  }
  return created;
}

export async function findUser(db: Db, id: number): Promise<User | undefined> {
  const row = await selectFirst<UserRow>(db, `SELECT ${COLUMNS} FROM users WHERE id = ?`, [id]);
  return row && toUser(row);
}

/** The user, locked: rents of one user are counted one after the other. */
export async function lockUser(tx: Tx, id: number): Promise<User | undefined> {
  return (await lockUsers(tx, [id], { waits: true }))[0];
}

/** These users, locked. Those whose rows another transaction holds are waited for, or are missing in the answer. */
export async function lockUsers(tx: Tx, ids: number[], { waits }: { waits: boolean }): Promise<User[]> {
  const rows = await selectRows<UserRow>(tx, `SELECT ${COLUMNS} FROM users WHERE id IN (${marks(ids)}) ORDER BY id FOR UPDATE${waits ? '' : ' SKIP LOCKED'}`, ids);
  return rows.map(toUser);
}

/**
 * Notes a reservation in the rows of these users. Their quota rests on the locks of those rows, and on a cluster, where nobody sees the locks of the other
 * servers, on this: of two transactions that write one row the cluster refuses the later one. (One server spares itself a tenth of a rent.)
 */
export async function noteReservations(tx: Tx, ids: number[]): Promise<void> {
  if (tx.isClustered) {
    await execute(tx, `UPDATE users SET reservations = reservations + 1 WHERE id IN (${marks(ids)})`, ids);
  }
}

export async function findUserByName(db: Db, username: string): Promise<User | undefined> {
  if (!couldBeUsername(username)) {
    return undefined;
  }
  const row = await selectFirst<UserRow>(db, `SELECT ${COLUMNS} FROM users WHERE username = ?`, [username]);
  return row && toUser(row);
}

export interface LoginCandidate {
  user: User;
  passwordHash: string;
  /** By the database's clock. */
  now: Date;
}

/** The user with the stored password hash, for the login alone. */
export async function findUserForLogin(db: Db, username: string): Promise<LoginCandidate | undefined> {
  if (!couldBeUsername(username)) {
    return undefined;
  }
  const row = await selectFirst<UserRow & { password_hash: string; now: Date }>(
    db,
    `SELECT ${COLUMNS}, password_hash, UTC_TIMESTAMP(3) AS now FROM users WHERE username = ?`,
    [username],
  );
  return row && { user: toUser(row), passwordHash: row.password_hash, now: row.now };
}

/**
 * The users that these tokens name, in their order. Undefined: the token is over (by the database's clock), revoked or from before the user's
 * tokens became void, or its user disabled. One statement, whatever their number.
 */
export async function findUsersOfTokens(db: Db, tokens: TokenOfUser[]): Promise<(User | undefined)[]> {
  // Revoked ones among those shown are few: with each of them a user comes once more.
  const rows = await selectRows<UserRow & { now: number; valid_from: string | number; revoked: string | null }>(
    db,
    `SELECT ${COLUMNS}, UNIX_TIMESTAMP() AS now, COALESCE(UNIX_TIMESTAMP(tokens_valid_from), 0) AS valid_from, jti AS revoked FROM users LEFT JOIN revoked_tokens ON jti IN (${marks(tokens)})
      WHERE id IN (${marks(tokens)}) AND disabled_at IS NULL`,
    [...tokens.map(({ tokenId }) => tokenId), ...tokens.map(({ userId }) => userId)],
  );
  const rowOf = new Map(rows.map((row) => [row.id, row]));
  const revoked = new Set(rows.map((row) => row.revoked));
  return tokens.map(({ userId, tokenId, issuedAtSeconds, expiresAtSeconds }) => {
    const row = rowOf.get(userId);
    return row && expiresAtSeconds > row.now && issuedAtSeconds >= Number(row.valid_from) && !revoked.has(tokenId) ? toUser(row) : undefined;
  });
}

export async function listUsers(db: Db, afterId: number, limit: number): Promise<User[]> {
  return (await selectRows<UserRow>(db, `SELECT ${COLUMNS} FROM users WHERE id > ? ORDER BY id LIMIT ?`, [afterId, limit])).map(toUser);
}

export interface UserChange {
  maxLeases?: number | undefined;
  maxLeaseHours?: number | undefined;
  role?: Role | undefined;
  disabled?: boolean | undefined;
}

/** On a user that the caller has locked. */
export async function updateUser(tx: Tx, id: number, change: UserChange): Promise<void> {
  await execute(
    tx,
    `UPDATE users SET max_leases = COALESCE(?, max_leases), max_lease_hours = COALESCE(?, max_lease_hours), role = COALESCE(?, role),
            disabled_at = CASE WHEN ? IS NULL THEN disabled_at WHEN ? THEN COALESCE(disabled_at, UTC_TIMESTAMP(3)) ELSE NULL END
      WHERE id = ?`,
    [change.maxLeases ?? null, change.maxLeaseHours ?? null, change.role ?? null, change.disabled ?? null, change.disabled ?? null, id],
  );
}

/** The keys of the user changed, or whether they open anything: what was read of them before is out of date. */
export async function noteAccessChange(tx: Tx, id: number): Promise<void> {
  await execute(tx, 'UPDATE users SET access_version = access_version + 1 WHERE id = ?', [id]);
}

/** Every token that the user has by now is good for nothing from here on. */
export async function voidTokens(tx: Tx, id: number): Promise<void> {
  await execute(tx, 'UPDATE users SET tokens_valid_from = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
}

/** The token is good for nothing from here on. Rows past their expiry are dropped in passing. */
export async function revokeToken(db: Db, tokenId: string, expiresAtSeconds: number): Promise<void> {
  await execute(db, 'INSERT IGNORE INTO revoked_tokens (jti, expires_at) VALUES (?, FROM_UNIXTIME(?))', [tokenId, expiresAtSeconds]);
  await execute(db, 'DELETE FROM revoked_tokens WHERE expires_at < UTC_TIMESTAMP(3) - INTERVAL 1 HOUR LIMIT 100');
}
