import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Knex } from 'knex';
import { acquire, release, sendOn } from './query';
import { databaseName } from './sql';

interface MigrationModule {
  up(knex: Knex): Promise<void>;
  down(knex: Knex): Promise<void>;
  config?: { transaction: boolean };
}

/** Knex's own file loader cannot import ES modules from a bundle, so the directory is read here. */
function migrationSource(directory: string): Knex.MigrationSource<string> {
  return {
    getMigrations: async () => (await readdir(directory)).filter((file) => /^\d{4}_.*\.mjs$/.test(file)).sort(),
    getMigrationName: (file) => file,
    getMigration: async (file) => (await import(pathToFileURL(join(directory, file)).href)) as MigrationModule,
  };
}

const LOCK_NAME = 'orion_migrate';
const LOCK_WAIT_SECONDS = 120;

/**
 * Runs `work` while no other process migrates this database. A named lock ends with its connection, so a killed migrator leaves
 * none behind (Knex's own lock table would).
 */
async function exclusively<T>(db: Knex, work: () => Promise<T>): Promise<T> {
  // In no transaction: one that says nothing while the tables are changed would be ended by the server.
  const connection = await acquire(db);
  const name = `${LOCK_NAME}:${databaseName(db)}`;
  try {
    const [row] = (await sendOn(connection, 'SELECT GET_LOCK(?, ?) AS got', [name, LOCK_WAIT_SECONDS])) as { got: number | null }[];
    if (row?.got !== 1) {
      throw new Error(`another process has been migrating this database for ${LOCK_WAIT_SECONDS} s; see SHOW PROCESSLIST`);
    }
    try {
      return await work();
    } finally {
      await sendOn(connection, 'SELECT RELEASE_LOCK(?)', [name]);
    }
  } finally {
    release(db, connection);
  }
}

export interface Migrator {
  /** Applies what is missing; returns the names applied. Safe when many replicas start at once. */
  up(): Promise<string[]>;
  /** Takes the newest batch back; returns its names. */
  down(): Promise<string[]>;
  status(): Promise<{ applied: string[]; pending: string[] }>;
}

export function createMigrator(db: Knex, directory: string): Migrator {
  const options: Knex.MigratorConfig = { migrationSource: migrationSource(directory), disableMigrationsListValidation: false };
  const run = async (verb: 'latest' | 'rollback'): Promise<string[]> =>
    exclusively(db, async () => {
      await db.migrate.forceFreeMigrationsLock(options);
      const [, names] = (await db.migrate[verb](options)) as [number, string[]];
      return names;
    });
  return {
    up: () => run('latest'),
    down: () => run('rollback'),
    status: async () => {
      const [applied, pending] = (await db.migrate.list(options)) as [{ name: string }[], string[]];
      return { applied: applied.map(({ name }) => name), pending };
    },
  };
}
