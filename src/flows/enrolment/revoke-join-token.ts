import { transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { actorOf, type User } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import { findJoinToken, type JoinToken, revokeJoinToken } from '../../modules/nodes';
import type { FlowContext } from '../support/context';

/** Revokes a join token. Machines that joined with it stay. A token that is revoked already is no error. Throws not_found. */
export async function revokeToken(ctx: Pick<FlowContext, 'db'>, { tokenId, by }: { tokenId: number; by: User }): Promise<JoinToken> {
  return transaction(ctx.db, async (tx) => {
    const isRevoked = await revokeJoinToken(tx, tokenId);
    const token = await findJoinToken(tx, tokenId);
    if (!token) {
      throw new OrionError('not_found', 'There is no such join token. `GET /api/tokens` lists them.');
    }
    if (isRevoked) {
      const { name, uses } = token;
      await recordEvent(tx, { type: 'token.revoked', actor: actorOf(by), data: { join_token_id: tokenId, name, uses } });
    }
    return token;
  });
}
