import { transaction } from '../../db/transaction';
import { actorOf, type Principal, revokeToken } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import type { FlowContext } from '../support/context';

/** Revokes the access token that the caller showed. Other tokens of the user stay valid. */
export async function logOut(ctx: Pick<FlowContext, 'db'>, { user, token }: Principal): Promise<void> {
  await transaction(ctx.db, async (tx) => {
    await revokeToken(tx, token.tokenId, token.expiresAtSeconds);
    await recordEvent(tx, { type: 'user.logout', actor: actorOf(user), userId: user.id });
  });
}
