import { transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import {
  actorOf,
  checkPassword,
  findUserForLogin,
  lockUserWithPassword,
  type LoginCandidate,
  noteReservations,
  type TokenSettings,
  type User,
  usernameKey,
} from '../../modules/accounts';
import { ANONYMOUS, recordEvent, type Refusal, type RefusalLog } from '../../modules/audit';
import type { FlowContext } from '../support/context';
import { type OpenedSession, openSession } from './open-session';

export type SignInContext = Pick<FlowContext, 'db'> & { tokens: TokenSettings; refusals: RefusalLog };

/**
 * R10: checks a password and issues an access token. Throws the same bad_credentials for an unknown name, a wrong password and a disabled
 * account.
 */
export async function logIn(
  ctx: SignInContext,
  { username, password, client }: { username: string; password: string; client?: string | undefined },
): Promise<{ user: User; token: string }> {
  const found = await findUserForLogin(ctx.db, username);
  const right = await checkPassword(found?.passwordHash, password);
  const session = found && right && found.user.disabledAt === null ? await enter(ctx, found, client) : undefined;
  if (!session) {
    await ctx.refusals.note(refusalOf(found, { username, right }));
    throw new OrionError('bad_credentials', 'Username or password is wrong, or the account is disabled.');
  }
  return session;
}

/** Opens the session. Undefined: the password changed, or the account was disabled, since the password was checked. */
function enter(
  { db, tokens }: SignInContext,
  { user, passwordHash }: LoginCandidate,
  client: string | undefined,
): Promise<OpenedSession | undefined> {
  return transaction(db, async (tx) => {
    if (!(await lockUserWithPassword(tx, user.id, passwordHash))) {
      return undefined;
    }
    // Servers of a cluster do not see each other's locks. The write makes the cluster refuse a login beside a change of the password.
    await noteReservations(tx, [user.id]);
    const session = await openSession(tx, user.id, { tokens, client });
    await recordEvent(tx, {
      type: 'user.login',
      actor: actorOf(session.user),
      userId: user.id,
      data: { issued_token_id: session.tokenId },
    });
    return session;
  });
}

/** Failures are counted by name. The event does not contain the name that was typed, because people type their password into that field. */
function refusalOf(found: LoginCandidate | undefined, { username, right }: { username: string; right: boolean }): Refusal {
  const reason = found === undefined ? 'unknown name' : right ? 'disabled account' : 'wrong password';
  return { type: 'user.login_failed', kind: usernameKey(username), actor: ANONYMOUS, userId: found?.user.id, data: { reason } };
}
