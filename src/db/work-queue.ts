import { newClaimToken } from '../lib/ids';
import { execute, IN_SECONDS, marks, selectRows } from './sql';
import type { Db, Tx } from './transaction';

/**
 * A queue in a table: a row is work once its `dueAt` has passed. Who claims it puts a token of its own there and moves `dueAt` on, so that nobody else takes it
 * until the claim lapses; what settles the work asks for the token. A process that dies loses nothing: its claims lapse.
 */
export interface WorkQueue {
  table: string;
  /** Column that names a row. */
  key: string;
  dueAt: string;
  token: string;
}

interface Claiming {
  /** SQL: what to read of each row. */
  columns: string;
  limit: number;
  claimSeconds: number;
  /** SQL: what else a claim sets, as in `claims = claims + 1`. */
  sets?: string;
}

export interface Claims<R> {
  /** The longest due first. Empty: nothing is due, or all of it is in other hands. */
  rows: R[];
  token: string;
}

/** Claims up to `limit` rows that are due; waits for none. */
export async function claimDue<R>(tx: Tx, { table, key, dueAt, token: column }: WorkQueue, { columns, limit, claimSeconds, sets }: Claiming): Promise<Claims<R>> {
  const rows = await selectRows<R & { work_key: number }>(
    tx,
    `SELECT ${key} AS work_key, ${columns} FROM ${table} WHERE ${dueAt} <= UTC_TIMESTAMP(3) ORDER BY ${dueAt}, ${key} LIMIT ? FOR UPDATE SKIP LOCKED`,
    [limit],
  );
  const token = newClaimToken();
  if (rows.length > 0) {
    await execute(
      tx,
      `UPDATE ${table} SET ${column} = ?, ${dueAt} = ${IN_SECONDS}${sets === undefined ? '' : `, ${sets}`} WHERE ${key} IN (${marks(rows)})`,
      [token, claimSeconds, ...rows.map(({ work_key: id }) => id)],
    );
  }
  return { rows, token };
}

/** Prolongs a claim. False: it was lost; stop, change nothing. */
export async function renewClaim(db: Db, { table, key, dueAt, token: column }: WorkQueue, { id, token, claimSeconds }: { id: number; token: string; claimSeconds: number }): Promise<boolean> {
  return (await execute(db, `UPDATE ${table} SET ${dueAt} = ${IN_SECONDS} WHERE ${key} = ? AND ${column} = ?`, [claimSeconds, id, token])) === 1;
}
