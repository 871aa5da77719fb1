import { cp, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { createDatabase } from '../../../src/db/connection';
import { createMigrator, type Migrator } from '../../../src/db/migrate';
import { type Lab, sharedMariaDb } from '../../lab';
import { migrationsDir } from '../../support/database';

export interface Site {
  db: Knex;
  /** Another process on the same database. */
  other: Knex;
  /** That of a program with all migrations. */
  migrator: Migrator;
}

/** An empty database, with two pools. They close with the lab. */
export async function openSite(lab: Lab): Promise<Site> {
  const access = await (await sharedMariaDb()).createDatabase();
  const [db, other] = [createDatabase({ ...access, poolSize: 4 }), createDatabase({ ...access, poolSize: 4 })];
  lab.push('pools', async () => {
    await Promise.all([db.destroy(), other.destroy()]);
  });
  return { db, other, migrator: createMigrator(db, migrationsDir) };
}

export const listMigrations = async (): Promise<string[]> => (await readdir(migrationsDir)).filter((name) => name.endsWith('.mjs')).sort();

/** The folder of a program that knows only these of the migrations. */
export async function folderOf(lab: Lab, names: string[]): Promise<string> {
  const folder = await mkdtemp(join(lab.dir, 'migrations-'));
  await Promise.all(names.map((name) => cp(join(migrationsDir, name), join(folder, name))));
  return folder;
}

/** A folder with one migration, whose `up` sends these statements. */
export async function folderWith(lab: Lab, ...statements: string[]): Promise<string> {
  const folder = await folderOf(lab, []);
  const lines = statements.map((sql) => `  await statements.raw(${JSON.stringify(sql)});`);
  await writeFile(
    join(folder, '0001_only.mjs'),
    `export async function up(statements) {\n${lines.join('\n')}\n}\nexport const down = () => undefined;\n`,
  );
  return folder;
}
