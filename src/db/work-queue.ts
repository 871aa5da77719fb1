import { newClaimToken } from '../lib/ids';
import { execute, IN_SECONDS, marks, selectRows } from './sql';
import type { Db, Tx } from './transaction';

/** Rows that wait for work: their `dueAt` has passed. */
export interface DueRows {
  table: string;
  dueAt: string;
  /** SQL: further conditions, served by the same index. Default: none. */
  where?: string;
}

/**
 * A queue in a table. A row is due once its `dueAt` has passed. The process that claims a row writes its token there and moves `dueAt` on,
 * so that no other process takes the row until the claim expires. The statement that completes or fails the claim compares the token. A
 * process that dies loses no work, because its claims expire.
 */
export interface WorkQueue extends DueRows {
  /** Column that names a row. */
  key: string;
  token: string;
}

interface Claiming {
  /** SQL: the columns to read of each row. */
  columns: string;
  limit: number;
  claimSeconds: number;
  /** SQL: further assignments of a claim, as in `claims = claims + 1`. */
  sets?: string;
}

export interface Claims<R> {
  /** The longest due first. Empty: no row is due, or other processes have claimed all due rows. */
  rows: R[];
  token: string;
}

/** Claims up to `limit` rows that are due. It skips rows that others have locked. */
export async function claimDue<R>(
  tx: Tx,
  { table, key, dueAt, token: column }: WorkQueue,
  { columns, limit, claimSeconds, sets }: Claiming,
): Promise<Claims<R>> {
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

/** Extends a claim. False: the claim was lost, so the caller must stop and change nothing. */
export async function renewClaim(
  db: Db,
  { table, key, dueAt, token: column }: WorkQueue,
  { id, token, claimSeconds }: { id: number; token: string; claimSeconds: number },
): Promise<boolean> {
  return (
    (await execute(db, `UPDATE ${table} SET ${dueAt} = ${IN_SECONDS} WHERE ${key} = ? AND ${column} = ?`, [claimSeconds, id, token])) === 1
  );
}

export interface Backlog {
  /** Rows that are due now, `MAX_COUNTED` at most. */
  due: number;
  /** Delay of the row that has been due for the longest. Null: no row is due. */
  overdueSeconds: number | null;
}

/** Limits the index entries that the measurement of a backlog reads. */
const MAX_COUNTED = 1_000;

/** Returns the backlog of each queue, by its given name. It is one statement that reads only the index of each queue and locks nothing. */
export async function measureBacklogs(db: Db, queues: Readonly<Record<string, DueRows>>): Promise<Record<string, Backlog>> {
  const entries = Object.entries(queues);
  if (entries.length === 0) {
    return {};
  }
  const counted = entries.map(
    ([, { table, dueAt, where = 'TRUE' }]) =>
      `SELECT ? AS name, COUNT(*) AS due, TIMESTAMPDIFF(MICROSECOND, MIN(due_at), UTC_TIMESTAMP(3)) / 1000000 AS overdue
         FROM (SELECT ${dueAt} AS due_at FROM ${table} WHERE ${where} AND ${dueAt} <= UTC_TIMESTAMP(3)
                ORDER BY ${dueAt} LIMIT ${MAX_COUNTED}) rows_due`,
  );
  const names = entries.map(([name]) => name);
  const rows = await selectRows<{ name: string; due: number; overdue: string | null }>(db, counted.join(' UNION ALL '), names);
  const backlogOf = (due: number, overdue: string | null): Backlog => ({ due, overdueSeconds: overdue === null ? null : Number(overdue) });
  return Object.fromEntries(rows.map(({ name, due, overdue }) => [name, backlogOf(due, overdue)]));
}
