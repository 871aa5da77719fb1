import type { Db, Tx } from '../../db/transaction';
import { listKeysOfUsers, listUserKeys, noteAccessChange, type User } from '../../modules/accounts';
import { lockKeysOfLeases, wantAccessAnew } from '../../modules/leases';

interface KeyedLease {
  id: number;
  userId: number;
  /** Given with the rent, or registered then. */
  publicKeys: string[];
}

/**
 * The keys that open each of these leases at this moment: its own, and those of its owner's account. A lease is missing while its owner is disabled: then
 * nothing opens it. A right is judged here, each time anew, and nowhere copied to be believed later.
 */
export async function admittedKeys(db: Db, leases: KeyedLease[]): Promise<Map<number, string[]>> {
  const registered = await listKeysOfUsers(db, [...new Set(leases.map(({ userId }) => userId))]);
  return new Map(leases.flatMap(({ id, userId, publicKeys }) => {
    const ofAccount = registered.get(userId);
    return ofAccount ? [[id, [...new Set([...publicKeys, ...ofAccount])]]] : [];
  }));
}

/** A request that brought the account's keys, with those of this moment if they changed since. The user is locked: from here on a change finds the new lease. */
export async function withKeysOfNow<R extends { user: User; publicKeys: string[]; keyInRequest: string | null }>(tx: Tx, request: R, locked: User | undefined): Promise<R> {
  if (!locked || request.keyInRequest !== null || locked.accessVersion === request.user.accessVersion) {
    return request;
  }
  return { ...request, publicKeys: (await listUserKeys(tx, locked.id)).map(({ publicKey }) => publicKey) };
}

/** Called in the transaction that changes the keys of a user, whom it has locked, or whether they open anything: the machines follow. */
export async function accessChanged(tx: Tx, userId: number): Promise<void> {
  await noteAccessChange(tx, userId);
  await wantAccessAnew(tx, [...(await lockKeysOfLeases(tx, userId)).keys()]);
}
