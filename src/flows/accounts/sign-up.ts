import { isDuplicate, type Tx, transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { actorOf, couldBeUsername, hashPassword, insertUser, type Role, type User } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import type { FlowContext } from '../support/context';

export interface SignUp {
  username: string;
  password: string;
  role: Role;
  maxLeases: number;
  maxLeaseHours: number;
  /** Who creates the account. Default: the new user. */
  actor?: string;
  mustChangePassword?: boolean;
  /** Runs in the transaction that creates the account. */
  also?: (tx: Tx, created: User) => Promise<void>;
}

/**
 * R10: creates an account. The name is used only in Orion; no node sees it. Throws username_taken, and invalid_request for a name that
 * could never log in.
 */
export async function signUp(ctx: Pick<FlowContext, 'db'>, { password, actor, also, ...user }: SignUp): Promise<User> {
  if (!couldBeUsername(user.username)) {
    throw new OrionError('invalid_request', 'username: use printable ASCII characters, with no blank at the end.');
  }
  const passwordHash = await hashPassword(password);
  try {
    return await transaction(ctx.db, async (tx) => {
      const created = await insertUser(tx, { ...user, passwordHash });
      const { username, role, maxLeases, maxLeaseHours } = created;
      const data = { username, role, max_leases: maxLeases, max_lease_hours: maxLeaseHours };
      await recordEvent(tx, { type: 'user.created', actor: actor ?? actorOf(created), userId: created.id, data });
      await also?.(tx, created);
      return created;
    });
  } catch (error) {
    throw isDuplicate(error, 'users_username') ? new OrionError('username_taken', 'That username is taken. Choose another.') : error;
  }
}
