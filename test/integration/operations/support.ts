import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DatabaseAccess, projectDir, run, type RunResult } from '../../lab';

/** Runs one of the operators' scripts against a database, with the settings that a role would get. */
export function runScript(
  name: string,
  args: string[],
  { host, port, user, password, database }: DatabaseAccess,
  { passwordFile }: { passwordFile?: string } = {},
): Promise<RunResult> {
  if (passwordFile !== undefined) {
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  }
  const secret = passwordFile === undefined ? { ORION_DB_PASSWORD: password } : { ORION_DB_PASSWORD_FILE: passwordFile };
  const env = {
    PATH: process.env['PATH'],
    ORION_DB_HOST: host,
    ORION_DB_PORT: String(port),
    ORION_DB_USER: user,
    ORION_DB_NAME: database,
    ...secret,
  };
  return run(join(projectDir, 'scripts', name), args, { env, timeoutMs: 120_000 });
}
