import { newClaimToken } from '../lib/ids';
import { execute, IN_SECONDS, marks, selectRows } from './sql';
import type { Db, Tx } from './transaction';

/** Rows that wait for work: those whose `dueAt` has passed. */
export interface DueRows {
  table: string;
  dueAt: string;
  /** SQL: further conditions, served by the same index. Default: none. */
  where?: string;
}

/**
 * A queue in a table: a row is work once its `dueAt` has passed. Who claims it puts a token of its own there and moves `dueAt` on, so that nobody else takes it
 * until the claim expires; what settles the work asks for the token. A process that dies loses nothing: its claims expire.
 */
export interface WorkQueue extends DueRows {
  /** Column that names a row. */
  key: string;
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

export interface Backlog {
  /** Rows that are due now, `MAX_COUNTED` at most. */
  due: number;
  /** Of the row that has been due for the longest; null: no row is due. */
  overdueSeconds: number | null;
}

/** Bounds the index entries that a look at a backlog reads. */
const MAX_COUNTED = 1_000;

/** The backlog of each queue, by the name given for it. One statement; it reads the index of each queue alone and locks nothing. */
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
