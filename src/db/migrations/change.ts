import type { Knex } from 'knex';
import { type Bindings, execute } from '../sql';
import { transaction } from '../transaction';

/** One statement that changes rows, again when another server of a cluster was faster. Gives the rows it found. */
export const change = (db: Knex, sql: string, bindings: Bindings = []): Promise<number> => transaction(db, (tx) => execute(tx, sql, bindings));
