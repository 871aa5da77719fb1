import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { loadDatabaseConfig } from '../config/control-plane';
import { createDatabase } from '../db/connection';
import { createMigrator, type Migrator } from '../db/migrate';
import { grantRoles, ROLE_GRANTS } from '../flows/accounts/grant-roles';
import { packageRoot } from '../lib/package-root';

export type MigrateVerb = 'up' | 'down' | 'status' | 'grant';

/** Runs `orion migrate up|down|status|grant`. Resolves with the exit code. `status` resolves with 1 while migrations are pending. */
export async function runMigrate(verb: MigrateVerb, env: NodeJS.ProcessEnv, io: { stdout: Writable; stderr: Writable }): Promise<number> {
  const db = createDatabase(loadDatabaseConfig(env));
  const migrator = createMigrator(db, join(packageRoot(), 'migrations'), (line) => void io.stderr.write(`${line}\n`));
  const say = (line: string): void => void io.stdout.write(`${line}\n`);
  try {
    if (verb === 'status') {
      return await showStatus(migrator, say);
    }
    if (verb === 'grant') {
      await grantRoles(db);
      Object.keys(ROLE_GRANTS).forEach((user) => say(`granted  ${user}`));
      return 0;
    }
    const names = await migrator[verb]();
    names.forEach((name) => say(`${verb === 'up' ? 'applied' : 'taken back'}  ${name}`));
    if (names.length === 0) {
      say('nothing to do');
    }
    return 0;
  } finally {
    await db.destroy();
  }
}

async function showStatus(migrator: Migrator, say: (line: string) => void): Promise<number> {
  const { applied, pending, newer } = await migrator.status();
  applied.forEach((name) => say(`applied  ${name}`));
  newer.forEach((name) => say(`newer    ${name}  (applied by a newer version, which takes it back; this version works with it)`));
  pending.forEach((name) => say(`pending  ${name}`));
  return pending.length > 0 ? 1 : 0;
}
