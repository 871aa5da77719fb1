import type { ApiAnswer } from '../api';
import { usageError } from '../errors';
import { ask, askHidden, askTwice, canAsk, readSecretLines } from '../secret-input';
import { type CommandContext, findLogin, type Session, withApi, withSession } from '../session';
import type { LoginAnswer } from '../../contract';

export interface PasswdOptions {
  /** Set the password with a one-time code of an operator. Needs no login. */
  code?: boolean;
  username?: string;
  /** Read both secrets from standard input, one a line. */
  stdin?: boolean;
}

/** Changes the password, or sets it with a one-time code. The server ends all sessions, and the client stores the new token. */
export async function passwd(context: CommandContext, { code, username, stdin }: PasswdOptions): Promise<void> {
  if (!code) {
    await withSession(context, async (session) => {
      const [oldPassword, newPassword] = await readSecrets(context, { first: 'Old password', stdin });
      const body = { old_password: oldPassword, new_password: newPassword };
      await store(session, await session.api.call((orion) => orion['/api/me/password'].POST({ body })));
    });
    return;
  }
  const { server, username: known } = await findLogin(context);
  await withApi(context, { server }, async (session) => {
    const name = username ?? known ?? (canAsk(context.io) ? (await ask(context.io, 'Username: ')).trim() : '');
    if (name === '') {
      throw usageError('No username is given.', 'Use --username NAME.');
    }
    const [oneTimeCode, newPassword] = await readSecrets(context, { first: 'One-time code', stdin });
    const body = { username: name, code: oneTimeCode, new_password: newPassword };
    await store(session, await session.api.call((orion) => orion['/api/password'].POST({ body })));
  });
}

async function readSecrets(
  { io }: CommandContext,
  { first, stdin }: { first: string; stdin: boolean | undefined },
): Promise<[string, string]> {
  if (stdin) {
    const [proof = '', newPassword = ''] = await readSecretLines(io, 2);
    return [proof, newPassword];
  }
  if (!canAsk(io)) {
    throw usageError('There is no terminal to ask for passwords.', `Use --stdin, with two lines: ${first.toLowerCase()}, new password.`);
  }
  return [await askHidden(io, `${first}: `), await askTwice(io, 'New password: ')];
}

async function store({ api, out, io, store: files }: Session, { data, text }: ApiAnswer<LoginAnswer>): Promise<void> {
  const { token, user } = data;
  await files.writeLogin({ server: api.server, username: user.username, token });
  if (io.env.ORION_TOKEN) {
    out.warn('ORION_TOKEN holds a token that has ended. Unset it, or set it to a new token.');
  }
  if (out.json) {
    out.document(text);
    return;
  }
  out.line(`password of ${user.username} changed`);
  out.note('All other sessions of the account have ended. This machine is logged in.');
  out.next('orion sessions', 'orion leases');
}
