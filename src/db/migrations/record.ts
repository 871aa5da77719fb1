import type { Knex } from 'knex';
import { execute, selectRows } from '../sql';
import { change } from './change';
import { isMissingTable } from '../transaction';

export interface Recorded {
  name: string;
  /** Number of the run that applied the migration. */
  batch: number;
}

/**
 * Table of Knex, for the first migrations only. The program of these migrations refuses to start when this table contains a migration that
 * it does not know. So newer migrations have a table of their own, and the old program works on the newer schema.
 */
const FIRST_TABLE = 'knex_migrations';
const TABLE = 'schema_migrations';
const LAST_OF_FIRST_TABLE = '0010_evacuating.mjs';

const tableOf = (name: string): string => (name <= LAST_OF_FIRST_TABLE ? FIRST_TABLE : TABLE);

export async function createRecordTables(db: Knex): Promise<void> {
  await execute(
    db,
    `CREATE TABLE IF NOT EXISTS ${FIRST_TABLE} (
      id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
      name VARCHAR(255) NULL,
      batch INT NULL,
      migration_time TIMESTAMP NULL DEFAULT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await execute(
    db,
    `CREATE TABLE IF NOT EXISTS ${TABLE} (
      name VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
      batch INT UNSIGNED NOT NULL,
      migration_time DATETIME(3) NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
}

/** Lists the applied migrations by name. A missing table counts as empty. */
export async function listRecorded(db: Knex): Promise<Recorded[]> {
  const rows = await Promise.all([FIRST_TABLE, TABLE].map((table) => listIn(db, table)));
  return rows.flat().toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function listIn(db: Knex, table: string): Promise<Recorded[]> {
  try {
    return await selectRows<Recorded>(db, `SELECT name, batch FROM ${table}`);
  } catch (error) {
    if (isMissingTable(error)) {
      return [];
    }
    throw error;
  }
}

/** Throws unless the database can read a table. A server that is cut off from its cluster still answers a query without a table. */
export async function readOneRow(db: Knex): Promise<void> {
  await selectRows(db, `SELECT name FROM ${TABLE} LIMIT 1`);
}

export async function record(db: Knex, { name, batch }: Recorded): Promise<void> {
  const table = tableOf(name);
  // Repeatable even in Knex's table, which has no UNIQUE key.
  await change(
    db,
    `INSERT INTO ${table} (name, batch, migration_time) SELECT ?, ?, UTC_TIMESTAMP(3) FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE name = ?)`,
    [name, batch, name],
  );
}

export async function forget(db: Knex, name: string): Promise<void> {
  await change(db, `DELETE FROM ${tableOf(name)} WHERE name = ?`, [name]);
}
