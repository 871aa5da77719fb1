import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { loadDatabaseConfig } from '../config/control-plane';
import { createDatabase } from '../db/connection';
import { createMigrator } from '../db/migrate';
import { packageRoot } from '../lib/package-root';

export type MigrateVerb = 'up' | 'down' | 'status';

/** `orion migrate up|down|status`. Resolves with the exit code; `status` gives 1 while migrations are pending. */
export async function runMigrate(verb: MigrateVerb, env: NodeJS.ProcessEnv, io: { stdout: Writable }): Promise<number> {
  const db = createDatabase(loadDatabaseConfig(env));
  const migrator = createMigrator(db, join(packageRoot(), 'migrations'));
  const say = (line: string): void => void io.stdout.write(`${line}\n`);
  try {
    if (verb === 'status') {
      const { applied, pending } = await migrator.status();
      applied.forEach((name) => say(`applied  ${name}`));
      pending.forEach((name) => say(`pending  ${name}`));
      return pending.length > 0 ? 1 : 0;
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
