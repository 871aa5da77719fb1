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
  deleted_at: Date | null;
  must_change_password: number;
  access_version: number;
  created_at: Date;
}

const COLUMNS =
  'id, username, role, max_leases, max_lease_hours, disabled_at, deleted_at, must_change_password, access_version, created_at';

const toUser = (row: UserRow): User => ({
  id: row.id,
  username: row.username,
  role: row.role,
  maxLeases: row.max_leases,
  maxLeaseHours: row.max_lease_hours,
  disabledAt: row.disabled_at,
  deletedAt: row.deleted_at,
  mustChangePassword: row.must_change_password === 1,
  accessVersion: row.access_version,
  createdAt: row.created_at,
});

export interface NewUser {
  username: string;
  passwordHash: string;
  role: Role;
  maxLeases: number;
  maxLeaseHours: number;
  /** Default: no. */
  mustChangePassword?: boolean;
}

/** Throws ER_DUP_ENTRY on `users_username` when the name is taken. */
export async function insertUser(db: Db, user: NewUser): Promise<User> {
  const id = await insertRow(
    db,
    'INSERT INTO users (username, password_hash, role, max_leases, max_lease_hours, must_change_password) VALUES (?, ?, ?, ?, ?, ?)',
    [user.username, user.passwordHash, user.role, user.maxLeases, user.maxLeaseHours, user.mustChangePassword ?? false],
  );
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

/** Locks the user, so that rents of one user are counted one after the other. */
export async function lockUser(tx: Tx, id: number): Promise<User | undefined> {
  return (await lockUsers(tx, [id], { waits: true }))[0];
}

/**
 * Locks these users. If another transaction has locked a user's row, it waits for that row (`waits`), or leaves the user out of the result.
 */
export async function lockUsers(tx: Tx, ids: number[], { waits }: { waits: boolean }): Promise<User[]> {
  const rows = await selectRows<UserRow>(
    tx,
    `SELECT ${COLUMNS} FROM users WHERE id IN (${marks(ids)}) ORDER BY id FOR UPDATE${waits ? '' : ' SKIP LOCKED'}`,
    ids,
  );
  return rows.map(toUser);
}

/**
 * Records a reservation in the rows of these users. Their quota depends on the locks of these rows. Servers of a cluster do not see each
 * other's locks, so there the quota depends on this write. Of two transactions that write one row, the cluster refuses the later one. A
 * single server skips the write, which saves a tenth of the cost of a rent.
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
}

/** Finds the user with the stored password hash, for the login only. */
export async function findUserForLogin(db: Db, username: string): Promise<LoginCandidate | undefined> {
  if (!couldBeUsername(username)) {
    return undefined;
  }
  const row = await selectFirst<UserRow & { password_hash: string }>(db, `SELECT ${COLUMNS}, password_hash FROM users WHERE username = ?`, [
    username,
  ]);
  return row && { user: toUser(row), passwordHash: row.password_hash };
}

/**
 * Finds the users of these tokens, in the order of the tokens, with one statement. Undefined: the token has expired by the database's
 * clock, was revoked, or is from before the user's tokens became void; or its user is disabled.
 */
export async function findUsersOfTokens(db: Db, tokens: TokenOfUser[]): Promise<(User | undefined)[]> {
  // The join repeats each user once for each revoked token in the list. Revoked tokens are few.
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
    return row && expiresAtSeconds > row.now && issuedAtSeconds >= Number(row.valid_from) && !revoked.has(tokenId)
      ? toUser(row)
      : undefined;
  });
}

/** Lists the users that are not deleted. */
export async function listUsers(db: Db, afterId: number, limit: number): Promise<User[]> {
  return (
    await selectRows<UserRow>(db, `SELECT ${COLUMNS} FROM users WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?`, [afterId, limit])
  ).map(toUser);
}

export interface UserChange {
  maxLeases?: number | undefined;
  maxLeaseHours?: number | undefined;
  role?: Role | undefined;
  disabled?: boolean | undefined;
}

/** Changes a user that the caller has locked. Values that are undefined stay as they are. */
export async function updateUser(tx: Tx, id: number, change: UserChange): Promise<void> {
  await execute(
    tx,
    `UPDATE users SET max_leases = COALESCE(?, max_leases), max_lease_hours = COALESCE(?, max_lease_hours), role = COALESCE(?, role),
            disabled_at = CASE WHEN ? IS NULL THEN disabled_at WHEN ? THEN COALESCE(disabled_at, UTC_TIMESTAMP(3)) ELSE NULL END
      WHERE id = ?`,
    [change.maxLeases ?? null, change.maxLeaseHours ?? null, change.role ?? null, change.disabled ?? null, change.disabled ?? null, id],
  );
}

/** Records that the user's keys changed, or that the user was disabled or enabled. Keys that were read before are out of date. */
export async function noteAccessChange(tx: Tx, id: number): Promise<void> {
  await execute(tx, 'UPDATE users SET access_version = access_version + 1 WHERE id = ?', [id]);
}
