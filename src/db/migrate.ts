import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Knex } from 'knex';
import { withMigrationLock } from './migrations/lock';
import { createRecordTables, forget, listRecorded, record, type Recorded } from './migrations/record';
import { withPatience, type Statements } from './migrations/statements';

interface Migration {
  up(statements: Statements): Promise<void>;
  down(statements: Statements): Promise<void>;
}

interface SchemaState {
  /** Applied migrations that this program knows. */
  applied: string[];
  pending: string[];
  /**
   * Migrations that a newer program applied. This program has no file for them. They only add to the schema, so this program works on it.
   */
  newer: string[];
}

export interface Migrator {
  /**
   * Applies the missing migrations and returns their names. Safe when many replicas start at once, on one database server or on several of
   * a cluster.
   */
  up(): Promise<string[]>;
  /** Reverts the newest batch, newest first, and returns its names. Refuses a batch that contains a migration of a newer program. */
  down(): Promise<string[]>;
  /** Reads only. */
  status(): Promise<SchemaState>;
}

/** Creates the migrator. `onWait` receives a line for people each time a statement must wait for a table in use. */
export function createMigrator(db: Knex, directory: string, onWait: (line: string) => void = () => undefined): Migrator {
  const run = (direction: 'up' | 'down', choose: (recorded: Recorded[], known: string[]) => string[]): Promise<string[]> =>
    withMigrationLock(db, async (lock) => {
      await createRecordTables(db);
      const recorded = await listRecorded(db);
      const names = choose(recorded, await listFiles(directory));
      const batch = Math.max(0, ...recorded.map((each) => each.batch)) + 1;
      for (const name of names) {
        const migration = (await import(pathToFileURL(join(directory, name)).href)) as Migration;
        await withPatience(db, { beforeEach: () => lock.renew(), onWait: (what) => onWait(`${name} ${what}`) }, (statements) =>
          migration[direction](statements),
        );
        await (direction === 'up' ? record(db, { name, batch }) : forget(db, name));
      }
      return names;
    });
  return {
    up: () => run('up', (recorded, known) => judge(recorded, known).pending),
    down: () => run('down', newestBatch),
    status: async () => judge(await listRecorded(db), await listFiles(directory)),
  };
}

const listFiles = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((file) => /^\d{4}_.*\.mjs$/.test(file)).sort();

function judge(recorded: Recorded[], known: string[]): SchemaState {
  const names = recorded.map(({ name }) => name);
  return {
    applied: known.filter((name) => names.includes(name)),
    pending: known.filter((name) => !names.includes(name)),
    newer: names.filter((name) => !known.includes(name)),
  };
}

function newestBatch(recorded: Recorded[], known: string[]): string[] {
  const last = Math.max(...recorded.map(({ batch }) => batch));
  const names = recorded.filter(({ batch }) => batch === last).map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(
      `A newer version of orion applied ${unknown.join(', ')}. Only that version can take it back: run its \`orion migrate down\`. Nothing was changed.`,
    );
  }
  return names.toReversed();
}
