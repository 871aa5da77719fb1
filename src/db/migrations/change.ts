import type { Knex } from 'knex';
import { type Bindings, execute } from '../sql';
import { transaction } from '../transaction';

/**
 * Runs one statement that changes rows. Repeats it when another server of the cluster changed them first. Returns the number of rows found.
 */
export const change = (db: Knex, sql: string, bindings: Bindings = []): Promise<number> =>
  transaction(db, (tx) => execute(tx, sql, bindings));
