import type { Writable } from 'node:stream';
import { loadControlKey, loadDatabaseConfig } from '../config/control-plane';
import { createDatabase } from '../db/connection';
import { issueJoinToken } from '../flows/enrolment/issue-join-token';
import { signUp } from '../flows/accounts/sign-up';
import { OPERATOR } from '../modules/audit';
import { signingKeyOf } from '../ssh';

/** Quota of an admin that is created on the command line. It can be changed like any other quota. */
const ADMIN_QUOTA = { maxLeases: 1000, maxLeaseHours: 24 * 30 };

/** `orion admin create`: creates the first admin. The caller has the database password. Resolves with the exit code. */
export async function createAdmin(
  { username, password }: { username: string; password: string },
  env: NodeJS.ProcessEnv,
  io: { stdout: Writable },
): Promise<number> {
  const db = createDatabase(loadDatabaseConfig(env));
  try {
    const user = await signUp({ db }, { username, password, role: 'admin', ...ADMIN_QUOTA, actor: OPERATOR });
    io.stdout.write(`admin ${user.username} (id ${user.id}) created\n`);
    return 0;
  } finally {
    await db.destroy();
  }
}

export interface TokenOrder {
  name: string;
  maxUses: number;
  ttlHours: number;
}

/**
 * `orion admin join-token`: issues a join token. The caller has the database password. Only the token goes to stdout. Resolves with the
 * exit code.
 */
export async function createJoinToken(
  { name, maxUses, ttlHours }: TokenOrder,
  env: NodeJS.ProcessEnv,
  io: { stdout: Writable },
): Promise<number> {
  const controlKey = signingKeyOf(loadControlKey(env)).publicKey;
  const db = createDatabase(loadDatabaseConfig(env));
  try {
    const { secret } = await issueJoinToken(
      { db },
      { name, maxUses, ttlSeconds: Math.ceil(ttlHours * 3600), labels: {}, maxCpus: null, maxMemoryMb: null, by: null, controlKey },
    );
    io.stdout.write(`${secret}\n`);
    return 0;
  } finally {
    await db.destroy();
  }
}
