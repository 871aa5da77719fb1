import type { Knex } from 'knex';
import { acquire, release, sendOn } from './query';
import { selectRows } from './sql';

type Right = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';

/** The only rights of one database user in this database. */
export interface Grants {
  /** Tables that the user may not even read. It may read all others. */
  hidden: readonly string[];
  /** Columns of hidden tables that the user may read. */
  partly?: Readonly<Record<string, readonly string[]>>;
  /** Rights beyond reading, by table. */
  writes: Readonly<Record<string, readonly Right[]>>;
}

/**
 * Grants users their rights on the existing tables. The users must exist, and the caller needs the same rights with GRANT OPTION. Rights
 * that somebody granted by hand stay. Repeatable.
 */
export async function grantAll(db: Knex, users: Readonly<Record<string, Grants>>): Promise<void> {
  const tables = (
    await selectRows<{ name: string }>(db, 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()')
  ).map(({ name }) => name);
  const connection = await acquire(db);
  try {
    // Without this mode, a GRANT to a missing user would create one without a password.
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
