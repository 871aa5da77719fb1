import { transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { actorOf, findSessionEnd, lockUser, revokeToken, type User, voidTokens } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import type { FlowContext } from '../support/context';

/** Ends a session of the user on every replica. Ending it again changes nothing. Throws not_found. */
export async function endSession({ db }: Pick<FlowContext, 'db'>, user: User, tokenId: string): Promise<void> {
  await transaction(db, async (tx) => {
    const expiresAt = await findSessionEnd(tx, user.id, tokenId);
    if (!expiresAt) {
      throw new OrionError('not_found', 'You have no such session. `GET /api/me/sessions` lists yours.');
    }
    if (await revokeToken(tx, tokenId, expiresAt.getTime() / 1000)) {
      await recordEvent(tx, { type: 'session.ended', actor: actorOf(user), userId: user.id, data: { ended_token_id: tokenId } });
    }
  });
}

/** Ends all sessions of the user on every replica, the caller's too. */
export async function endAllSessions({ db }: Pick<FlowContext, 'db'>, user: User): Promise<void> {
  await transaction(db, async (tx) => {
    await lockUser(tx, user.id);
    await voidTokens(tx, user.id);
    await recordEvent(tx, { type: 'session.ended', actor: actorOf(user), userId: user.id, data: { all: true } });
  });
}
