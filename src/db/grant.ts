import type { Knex } from 'knex';
import { acquire, release, sendOn } from './query';
import { selectRows } from './sql';

type Right = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';

/** What one database user may do in this database, and nothing else. */
export interface Grants {
  /** Tables that it may not even read; it may read all others. */
  hidden: readonly string[];
  /** Of hidden tables, the columns that it may read. */
  partly?: Readonly<Record<string, readonly string[]>>;
  /** Beyond reading, by table. */
  writes: Readonly<Record<string, readonly Right[]>>;
}

/**
 * Gives users their rights on the tables that are there. The users have to exist; the caller needs the same rights with GRANT OPTION. Rights that were
 * given by hand are left alone. Fine to repeat.
 */
export async function grantAll(db: Knex, users: Readonly<Record<string, Grants>>): Promise<void> {
  const tables = (await selectRows<{ name: string }>(db, 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()')).map(({ name }) => name);
  const connection = await acquire(db);
  try {
    // Without it a GRANT to a user who is missing would make one that needs no password.
    await sendOn(connection, "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_CREATE_USER')");
    for (const [user, { hidden, partly = {}, writes }] of Object.entries(users)) {
      for (const table of tables.filter((name) => !hidden.includes(name))) {
        await sendOn(connection, `GRANT ${['SELECT', ...(writes[table] ?? [])].join(', ')} ON \`${table}\` TO ?@'%'`, [user]);
      }
      for (const [table, columns] of Object.entries(partly)) {
        await sendOn(connection, `GRANT SELECT (${columns.join(', ')}) ON \`${table}\` TO ?@'%'`, [user]);
      }
    }
  } finally {
    release(db, connection);
  }
}
