import type { Knex } from 'knex';
import { raw } from 'mysql2';
import { type Batch, type Bindings, type Db, type Later, send } from './query';

export type { Bindings } from './query';

/** Returns the rows of a SELECT. */
export async function selectRows<Row>(db: Db, sql: string, bindings: Bindings = []): Promise<Row[]> {
  return (await send(db, sql, bindings)) as Row[];
}

/** Returns the first row of a SELECT, or undefined. */
export async function selectFirst<Row>(db: Db, sql: string, bindings: Bindings = []): Promise<Row | undefined> {
  return (await selectRows<Row>(db, sql, bindings))[0];
}

/**
 * Returns the number of rows that the WHERE of an UPDATE found or a DELETE removed. Zero after a guarded UPDATE means that the guard did
 * not hold.
 */
export async function execute(db: Db, sql: string, bindings: Bindings = []): Promise<number> {
  return ((await send(db, sql, bindings)) as { affectedRows: number }).affectedRows;
}

/** Returns the AUTO_INCREMENT id of an INSERT. */
export async function insertRow(db: Db, sql: string, bindings: Bindings = []): Promise<number> {
  return ((await send(db, sql, bindings)) as { insertId: number }).insertId;
}

/** An id: a number, or in a batch SQL for the id of an INSERT of the same batch. */
export type Id = number | Later;

/** The id of the last INSERT before this statement. For several rows, the id of the first. */
export const LAST_INSERT_ID: Id = raw('LAST_INSERT_ID()');

/** Keeps LAST_INSERT_ID in a variable, for statements of the batch after another INSERT. They use `keptId(name)`. */
export async function keepInsertId(batch: Batch, name: string): Promise<void> {
  await send(batch, `SET @${name} = LAST_INSERT_ID()`);
}

export const keptId = (name: string): Id => raw(`@${name}`);

/** SQL for "`seconds` from now" by the database's clock; `seconds` may be fractional. Rounded to a millisecond. */
export const IN_SECONDS = 'TIMESTAMPADD(MICROSECOND, ROUND(? * 1000) * 1000, UTC_TIMESTAMP(3))';

/** Returns `?, ?, …`: one mark for each value of a list. */
export const marks = (values: readonly unknown[]): string => values.map(() => '?').join(',');

/** Returns `(row), (row), …`: the rows of a VALUES, each written as `row`. */
export const rowsOf = (rows: readonly unknown[], row: string): string => rows.map(() => row).join(',');

/** Returns the value of a JSON column, which the driver returns as text (MariaDB) or as a value (MySQL). */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller says what its column holds
export function fromJson<T>(column: unknown): T {
  return (typeof column === 'string' ? JSON.parse(column) : column) as T;
}

/** Returns the name of the database that this pool is connected to. */
export function databaseName(db: Knex): string {
  return (db.client as { database: () => string }).database();
}
