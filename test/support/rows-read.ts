import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/connection';
import { selectRows } from '../../src/db/sql';
import type { DatabaseAccess } from '../lab';

/** Counts the rows that the server reads, by its own Handler_read counters. */
export interface RowCounter {
  /**
   * Returns the number of rows and index entries that the statements of `work` read. `work` gets the only connection whose counters are
   * read.
   */
  rowsRead(work: (db: Knex) => Promise<unknown>): Promise<number>;
  close(): Promise<void>;
}

export function openRowCounter(access: DatabaseAccess): RowCounter {
  const db = createDatabase({ ...access, poolSize: 1 });
  const total = async (): Promise<number> => {
    const counters = await selectRows<{ Value: string }>(db, "SHOW SESSION STATUS LIKE 'Handler_read%'");
    return counters.reduce((so, { Value }) => so + Number(Value), 0);
  };
  return {
    rowsRead: async (work) => {
      // Reading the counters counts too.
      const first = await total();
      const before = await total();
      await work(db);
      return (await total()) - before - (before - first);
    },
    close: () => db.destroy(),
  };
}
