import { randomUUID } from 'node:crypto';
import { OrionError } from '../../lib/errors';
import {
  actorOf,
  checkPassword,
  findUserForLogin,
  issueAccessToken,
  type LoginCandidate,
  type TokenSettings,
  type User,
  usernameKey,
} from '../../modules/accounts';
import { ANONYMOUS, recordEvent, type Refusal, type RefusalLog } from '../../modules/audit';
import type { FlowContext } from '../support/context';

/**
 * R10: checks a password and issues an access token. Throws the same bad_credentials for an unknown name, a wrong password and a disabled
 * account.
 */
export async function logIn(
  ctx: Pick<FlowContext, 'db'> & { tokens: TokenSettings; refusals: RefusalLog },
  { username, password }: { username: string; password: string },
): Promise<{ user: User; token: string }> {
  const found = await findUserForLogin(ctx.db, username);
  const right = await checkPassword(found?.passwordHash, password);
  if (!found || !right || found.user.disabledAt !== null) {
    await ctx.refusals.note(refusalOf(found, { username, right }));
    throw new OrionError('bad_credentials', 'Username or password is wrong, or the account is disabled.');
  }
  const { user, now } = found;
  const tokenId = randomUUID();
  const token = issueAccessToken(user, { ...ctx.tokens, tokenId }, now);
  await recordEvent(ctx.db, { type: 'user.login', actor: actorOf(user), userId: user.id, data: { issued_token_id: tokenId } });
  return { user, token };
}

/** Failures are counted by name. The event does not contain the name that was typed, because people type their password into that field. */
function refusalOf(found: LoginCandidate | undefined, { username, right }: { username: string; right: boolean }): Refusal {
  const reason = found === undefined ? 'unknown name' : right ? 'disabled account' : 'wrong password';
  return { type: 'user.login_failed', kind: usernameKey(username), actor: ANONYMOUS, userId: found?.user.id, data: { reason } };
}
