import { join } from 'node:path';
import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/connection';
import { createMigrator } from '../../src/db/migrate';
import { execute, selectFirst, selectRows, type Bindings } from '../../src/db/sql';
import { projectDir, sharedMariaDb, type DatabaseAccess } from '../lab';

export const migrationsDir = join(projectDir, 'migrations');

export interface TestDatabase {
  access: DatabaseAccess;
  /** A migrated database that only this test uses. */
  db: Knex;
  /** Opens another pool on the same database, as a second replica would. */
  secondPool(): Knex;
  /** Empties all tables of the test data, and resets the state of the control plane. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

const TABLES = [
  'events',
  'audit_entries',
  'audit_heads',
  'checkpoints',
  'extensions',
  'placements',
  'leases',
  'rents',
  'nodes',
  'join_tokens',
  'rate_limits',
  'revoked_tokens',
  'sessions',
  'user_keys',
  'users',
];

/** Opens a real, private database with the complete schema, on the server that the test run shares. */
export async function openTestDatabase({ poolSize = 12 } = {}): Promise<TestDatabase> {
  const server = await sharedMariaDb();
  const access = await server.createDatabase();
  const pools: Knex[] = [];
  const open = (): Knex => {
    const pool = createDatabase({ ...access, poolSize });
    pools.push(pool);
    return pool;
  };
  const db = open();
  await createMigrator(db, migrationsDir).up();
  return {
    access,
    db,
    secondPool: open,
    reset: () => empty(db),
    close: async () => {
      await Promise.all(pools.map((pool) => pool.destroy()));
    },
  };
}

async function empty(db: Knex): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.raw('SET SESSION foreign_key_checks = 0');
    for (const table of TABLES) {
      await tx.raw('DELETE FROM ??', [table]);
    }
    await tx.raw('SET SESSION foreign_key_checks = 1');
    await tx.raw('DELETE FROM probe_owners');
    await tx.raw('DELETE FROM job_reports');
    await tx.raw('UPDATE probe_shards SET owner_id = NULL');
    await tx.raw(
      'UPDATE control_plane SET last_tick_at = UTC_TIMESTAMP(3), judged_since = UTC_TIMESTAMP(3) - INTERVAL 1 DAY, brake_since = NULL',
    );
  });
}

/** Selects one row; throws when there is none. For assertions about stored data. */
export async function row<Row>(db: Knex, sql: string, bindings: Bindings = []): Promise<Row> {
  const found = await selectFirst<Row>(db, sql, bindings);
  if (!found) {
    throw new Error(`no row: ${sql}`);
  }
  return found;
}

export const rows = selectRows;

/** Changes rows instead of waiting, for example makes them older. Throws when no row changed. */
export async function age(db: Knex, sql: string, bindings: Bindings = []): Promise<void> {
  if ((await execute(db, sql, bindings)) === 0) {
    throw new Error(`nothing was aged: ${sql}`);
  }
}

/** Returns the first number of a query. */
export async function count(db: Knex, sql: string, bindings: Bindings = []): Promise<number> {
  return Number(Object.values(await row<Record<string, number>>(db, sql, bindings))[0]);
}
