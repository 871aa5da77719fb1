import { selectRows } from './sql';
import type { Tx } from './transaction';

/** Rows of a table that age, in the order of an index that ends with `at`. */
export interface OldRows {
  table: string;
  /** The index that serves `where` and the order. It is forced, so that a large history is never scanned. */
  index: string;
  at: string;
  /** SQL: conditions on the columns of the index before `at`. Default: none. */
  where?: string;
}

/** A row in the order of `at` and id. */
export interface Place {
  at: Date;
  id: number;
}

/** The next old rows to judge. */
export interface Window {
  /** Rows from before this many days are old. */
  days: number;
  /** The window begins after this row. Undefined: with the oldest row. */
  after: Place | undefined;
  limit: number;
}

/** Result of one window. */
export interface Pruned {
  deleted: number;
  /** Where the next window begins. Undefined: no old row is left. */
  next: Place | undefined;
}

const BEGIN: Place = { at: new Date(0), id: 0 };

/**
 * Locks the rows of a window, the oldest first. Rows that another transaction has locked are skipped, so two processes share the work.
 * Rows that must stay are in the window too: the next window begins after them, and does not read them again.
 */
export async function lockOldRows(tx: Tx, old: OldRows, window: Window): Promise<{ ids: number[]; next: Place | undefined }> {
  const { table, index, at, where = 'TRUE' } = old;
  const { days, after = BEGIN, limit } = window;
  const rows = await selectRows<Place>(
    tx,
    `SELECT id, ${at} AS at FROM ${table} FORCE INDEX (${index})
      WHERE ${where} AND ${at} < UTC_TIMESTAMP(3) - INTERVAL ? DAY AND ${at} >= ? AND (${at} > ? OR id > ?)
      ORDER BY ${at}, id LIMIT ? FOR UPDATE SKIP LOCKED`,
    [days, after.at, after.at, after.id, limit],
  );
  return { ids: rows.map(({ id }) => id), next: rows.length < limit ? undefined : rows.at(-1) };
}
