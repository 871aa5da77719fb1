import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, programDir, run, type RunResult } from '../../lab';

/** What a release adds to a schema: a column, an index, a table, and values in existing rows. It only adds, as every migration does. */
const NEXT_MIGRATION = `
export async function up(statements) {
  await statements.raw('ALTER TABLE nodes ADD COLUMN IF NOT EXISTS rack VARCHAR(64) NULL, ALGORITHM=INSTANT, LOCK=NONE');
  await statements.raw('ALTER TABLE leases ADD COLUMN IF NOT EXISTS price INT UNSIGNED NOT NULL DEFAULT 0');
  await statements.raw('ALTER TABLE placements ADD KEY IF NOT EXISTS placements_present (present_at), ALGORITHM=INPLACE, LOCK=NONE');
  await statements.raw('CREATE TABLE IF NOT EXISTS racks (name VARCHAR(64) PRIMARY KEY) ENGINE=InnoDB');
  await statements.raw("UPDATE nodes SET rack = 'first' WHERE rack IS NULL");
}
export async function down(statements) {
  await statements.raw('DROP TABLE IF EXISTS racks');
  await statements.raw('ALTER TABLE placements DROP KEY IF EXISTS placements_present');
  await statements.raw('ALTER TABLE leases DROP COLUMN IF EXISTS price');
  await statements.raw('ALTER TABLE nodes DROP COLUMN IF EXISTS rack');
}
`;
export const NEXT_MIGRATION_NAME = '9999_next_release.mjs';

/** The release after the program under test: the same program with one migration more. So the program under test is the older one. */
export function makeNextRelease(lab: Lab): string {
  const folder = join(lab.dir, 'next-release');
  mkdirSync(folder);
  for (const part of ['dist', 'migrations', 'playbooks', 'package.json']) {
    cpSync(join(programDir, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(programDir, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'migrations', NEXT_MIGRATION_NAME), NEXT_MIGRATION);
  return folder;
}

/** `orion migrate` of the program in this folder. */
export const migrate = (folder: string, verb: 'up' | 'down' | 'status', env: Record<string, string>): Promise<RunResult> =>
  run(process.execPath, [join(folder, 'dist', 'main.js'), 'migrate', verb], { env: { PATH: process.env['PATH'], ...env } });
