import { transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { randomName } from '../../lib/ids';
import { actorOf, deleteUserKeys, findUser, hashPassword, lockUser, markDeleted, type User, voidTokens } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import { accessChanged } from '../accounts/admitted-keys';
import type { FlowContext } from '../support/context';
import { endLeasesOf } from './end-leases';
import { noSuchUser } from './named-user';

interface DeleteOrder {
  userId: number;
  by: User;
  /** The programs of the leases run until their ends. Nobody can log in to them. */
  keepLeases: boolean;
}

/**
 * Deletes an account: its tokens, keys, password and one-time code are gone, and its leases end. The row stays with its name, because
 * events and leases refer to it, and nobody else gets the name. Deleting it again changes nothing. Throws not_found and state_conflict.
 */
export async function deleteUser(ctx: Pick<FlowContext, 'db'>, { userId, by, keepLeases }: DeleteOrder): Promise<User> {
  if (userId === by.id) {
    throw new OrionError('state_conflict', 'You cannot delete yourself; ask another admin.');
  }
  const passwordHash = await hashPassword(randomName(32));
  const actor = actorOf(by);
  return transaction(ctx.db, async (tx) => {
    const user = await lockUser(tx, userId);
    if (!user) {
      throw noSuchUser();
    }
    if (user.deletedAt !== null) {
      return user;
    }
    await markDeleted(tx, userId, passwordHash);
    await deleteUserKeys(tx, userId);
    await voidTokens(tx, userId);
    if (!keepLeases) {
      await endLeasesOf(tx, userId, actor);
    }
    await accessChanged(tx, userId);
    await recordEvent(tx, { type: 'user.deleted', actor, userId, data: { username: user.username, keep_leases: keepLeases } });
    return (await findUser(tx, userId)) ?? user;
  });
}
