import { OrionError } from '../../lib/errors';
import { checkPassword, findUserForLogin, issueAccessToken, type TokenSettings, type User } from '../../modules/accounts';
import type { FlowContext } from '../support/context';

/**
 * R10: checks a password and issues an access token. Throws the same bad_credentials for an unknown name, a wrong password and a disabled
 * account.
 */
export async function logIn(
  ctx: Pick<FlowContext, 'db'> & { tokens: TokenSettings },
  { username, password }: { username: string; password: string },
): Promise<{ user: User; token: string }> {
  const found = await findUserForLogin(ctx.db, username);
  const right = await checkPassword(found?.passwordHash, password);
  if (!found || !right || found.user.disabledAt !== null) {
    throw new OrionError('bad_credentials', 'Username or password is wrong, or the account is disabled.');
  }
  return { user: found.user, token: issueAccessToken(found.user, ctx.tokens, found.now) };
}
