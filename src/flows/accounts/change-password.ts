import { transaction, type Transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { sha256 } from '../../lib/ids';
import {
  actorOf,
  checkPassword,
  findPasswordHash,
  findUserOfCode,
  hashPassword,
  lockUserWithPassword,
  setPassword,
  type User,
  usernameKey,
  voidTokens,
} from '../../modules/accounts';
import { ANONYMOUS, recordEvent } from '../../modules/audit';
import type { SignInContext } from './log-in';
import { type OpenedSession, openSession } from './open-session';

interface PasswordChange {
  by: User;
  oldPassword: string;
  newPassword: string;
  client?: string | undefined;
}

/**
 * R10: changes the password of the caller. Every token of the user becomes void, and the caller gets a new one. Throws bad_credentials for
 * a wrong old password, and invalid_request if both passwords are the same.
 */
export async function changePassword(ctx: SignInContext, { by, oldPassword, newPassword, client }: PasswordChange): Promise<OpenedSession> {
  const stored = await findPasswordHash(ctx.db, by.id);
  if (stored === undefined || !(await checkPassword(stored, oldPassword))) {
    await ctx.refusals.note({
      type: 'user.login_failed',
      kind: usernameKey(by.username),
      actor: actorOf(by),
      userId: by.id,
      data: { reason: 'wrong old password' },
    });
    throw wrongOldPassword();
  }
  if (oldPassword === newPassword) {
    throw new OrionError('invalid_request', 'The new password is the old one. Choose another.');
  }
  const passwordHash = await hashPassword(newPassword);
  return transaction(ctx.db, async (tx) => {
    if (!(await lockUserWithPassword(tx, by.id, stored))) {
      throw wrongOldPassword();
    }
    return takeOver(tx, ctx, { userId: by.id, passwordHash, proof: 'old password', client });
  });
}

const wrongOldPassword = (): OrionError =>
  new OrionError('bad_credentials', 'The old password is wrong. If you forgot it, ask an operator for a one-time code.');

/**
 * Sets a new password for the bearer of a one-time code, which an operator issued. The code is used up, every token of the user becomes
 * void, and the caller gets a new one. Throws the same bad_credentials for an unknown name, a disabled account, and a code that is wrong,
 * used or expired.
 */
export async function redeemCode(
  ctx: SignInContext,
  { username, code, newPassword, client }: { username: string; code: string; newPassword: string; client?: string | undefined },
): Promise<OpenedSession> {
  const sought = { username, codeHash: sha256(code) };
  const known = await findUserOfCode(ctx.db, sought, { locks: false });
  const passwordHash = known === undefined ? undefined : await hashPassword(newPassword);
  const session =
    passwordHash === undefined
      ? undefined
      : await transaction(ctx.db, async (tx) => {
          const userId = await findUserOfCode(tx, sought, { locks: true });
          return userId === undefined ? undefined : takeOver(tx, ctx, { userId, passwordHash, proof: 'one-time code', client });
        });
  if (!session) {
    await ctx.refusals.note({
      type: 'user.login_failed',
      kind: usernameKey(username),
      actor: ANONYMOUS,
      userId: known,
      data: { reason: 'wrong one-time code' },
    });
    throw new OrionError(
      'bad_credentials',
      'Username or code is wrong, or the code was used or has expired. Ask an operator for a new one.',
    );
  }
  return session;
}

interface NewPassword {
  userId: number;
  passwordHash: string;
  proof: 'old password' | 'one-time code';
  client: string | undefined;
}

async function takeOver(
  tx: Transaction,
  { tokens }: SignInContext,
  { userId, passwordHash, proof, client }: NewPassword,
): Promise<OpenedSession> {
  await setPassword(tx, userId, passwordHash);
  await voidTokens(tx, userId);
  const session = await openSession(tx, userId, { tokens, client });
  const data = { proof, issued_token_id: session.tokenId };
  await recordEvent(tx, { type: 'user.password_changed', actor: actorOf(session.user), userId, data });
  return session;
}
