import type { Db } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { findUser, findUserByName, type User } from '../../modules/accounts';

export const noSuchUser = (): OrionError => new OrionError('not_found', 'There is no such user. `GET /api/users` lists them.');

/** Finds a user by number or by name. Throws not_found. */
export async function findNamedUser(db: Db, named: number | string): Promise<User> {
  const user = await (typeof named === 'number' ? findUser(db, named) : findUserByName(db, named));
  if (!user) {
    throw noSuchUser();
  }
  return user;
}

/** Throws state_conflict if the user was deleted. */
export function refuseDeleted({ deletedAt }: User): void {
  if (deletedAt !== null) {
    throw new OrionError('state_conflict', `The account was deleted at ${deletedAt.toISOString()}. Create another one, with another name.`);
  }
}
