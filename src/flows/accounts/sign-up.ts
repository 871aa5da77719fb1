import { isDuplicate } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { couldBeUsername, hashPassword, insertUser, type Role, type User } from '../../modules/accounts';
import type { FlowContext } from '../support/context';

export interface SignUp {
  username: string;
  password: string;
  role: Role;
  maxLeases: number;
  maxLeaseHours: number;
}

/**
 * R10: creates an account. The name is used only in Orion; no node sees it. Throws username_taken, and invalid_request for a name that
 * could never log in.
 */
export async function signUp(ctx: Pick<FlowContext, 'db'>, { password, ...user }: SignUp): Promise<User> {
  if (!couldBeUsername(user.username)) {
    throw new OrionError('invalid_request', 'username: use printable ASCII characters, with no blank at the end.');
  }
  const passwordHash = await hashPassword(password);
  try {
    return await insertUser(ctx.db, { ...user, passwordHash });
  } catch (error) {
    throw isDuplicate(error, 'users_username') ? new OrionError('username_taken', 'That username is taken. Choose another.') : error;
  }
}
