import { randomName } from '../../lib/ids';
import { usageError } from '../errors';
import { askHidden, canAsk, readSecretLine } from '../secret-input';
import type { CommandContext } from '../session';

const GENERATED_LENGTH = 20;

/** Creates an admin in the database. Without a given password it generates one and prints it once. Resolves with the exit code. */
export async function createAdmin(context: CommandContext, username: string, options: { passwordStdin?: boolean }): Promise<number> {
  const { io, out } = context;
  const given = await readPassword(context, options);
  const password = given ?? randomName(GENERATED_LENGTH);
  const admin = await import('../../roles/admin');
  const code = await admin.createAdmin({ username, password }, io.env, io);
  if (code === 0 && given === undefined) {
    out.line(`password ${password}`);
    out.note('The password is shown this once.');
  }
  if (code === 0) {
    out.next(`orion login --username ${username}`);
  }
  return code;
}

/** Reads the password. Undefined: the caller generates one. */
async function readPassword({ io }: CommandContext, { passwordStdin }: { passwordStdin?: boolean }): Promise<string | undefined> {
  if (passwordStdin) {
    return readSecretLine(io);
  }
  if (!canAsk(io)) {
    return undefined;
  }
  const typed = await askHidden(io, 'Password (empty: make one up): ');
  if (typed === '') {
    return undefined;
  }
  if ((await askHidden(io, 'The same again: ')) !== typed) {
    throw usageError('The two passwords differ.');
  }
  return typed;
}
