import { type Tx, transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { actorOf, findUser, lockUser, updateUser, type User, type UserChange, voidTokens } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import { accessChanged } from '../accounts/admitted-keys';
import type { FlowContext } from '../support/context';
import { endLeasesOf } from './end-leases';
import { noSuchUser, refuseDeleted } from './named-user';

export interface UserOrder {
  userId: number;
  by: User;
  change: UserChange;
  /** Of an account that is disabled: its programs run until the leases end. Nobody can log in to them. */
  keepLeases: boolean;
}

/**
 * Changes limits or role of an account, or disables or enables it, as an admin orders. A disabled account can do nothing, and its leases
 * end, unless the admin keeps them.
 *
 * All tokens issued before the account is disabled, enabled or loses the admin role become invalid for good. Throws not_found and
 * state_conflict.
 */
export async function changeUser(ctx: FlowContext, { userId, by, change, keepLeases }: UserOrder): Promise<User> {
  if (userId === by.id && (change.disabled || change.role === 'user')) {
    throw new OrionError('state_conflict', 'You cannot disable or demote yourself; ask another admin.');
  }
  return transaction(ctx.db, async (tx) => {
    const before = await lockUser(tx, userId);
    if (!before) {
      throw noSuchUser();
    }
    refuseDeleted(before);
    await updateUser(tx, userId, change);
    const after = (await findUser(tx, userId)) ?? before;
    if (change.disabled && !keepLeases) {
      await endLeasesOf(tx, userId, actorOf(by));
    }
    await follow(tx, { before, after, actor: actorOf(by) });
    return after;
  });
}

async function follow(tx: Tx, { before, after, actor }: { before: User; after: User; actor: string }): Promise<void> {
  const isToggled = (before.disabledAt === null) !== (after.disabledAt === null);
  if (isToggled || (before.role === 'admin' && after.role !== 'admin')) {
    await voidTokens(tx, after.id);
  }
  if (isToggled) {
    await accessChanged(tx, after.id);
    await recordEvent(tx, { type: after.disabledAt === null ? 'user.enabled' : 'user.disabled', actor, userId: after.id });
  }
  const changes = Object.entries({
    role: [before.role, after.role],
    max_leases: [before.maxLeases, after.maxLeases],
    max_lease_hours: [before.maxLeaseHours, after.maxLeaseHours],
  }).filter(([, [was, is]]) => was !== is);
  if (changes.length > 0) {
    const data = Object.fromEntries(changes.map(([name, [from, to]]) => [name, { from, to }]));
    await recordEvent(tx, { type: 'user.changed', actor, userId: after.id, data });
  }
}
