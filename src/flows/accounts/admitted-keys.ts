import type { Db, Tx } from '../../db/transaction';
import { listKeysOfUsers, listUserKeys, noteAccessChange, type User } from '../../modules/accounts';
import { lockKeysOfLeases, wantAccessAnew } from '../../modules/leases';

interface KeyedLease {
  id: number;
  userId: number;
  /** The keys of the rent request, or else the account's keys at that time. */
  publicKeys: string[];
}

/**
 * Returns the keys that open each of these leases now: its own keys and those of its owner's account. A lease is missing while its owner is
 * disabled, because then nothing opens it. Access is always computed from the current rows; no copy of an earlier decision is used.
 */
export async function admittedKeys(db: Db, leases: KeyedLease[]): Promise<Map<number, string[]>> {
  const registered = await listKeysOfUsers(db, [...new Set(leases.map(({ userId }) => userId))]);
  return new Map(
    leases.flatMap(({ id, userId, publicKeys }) => {
      const ofAccount = registered.get(userId);
      return ofAccount ? [[id, [...new Set([...publicKeys, ...ofAccount])]]] : [];
    }),
  );
}

/**
 * Replaces the account's keys in a request by the current ones if they changed since they were read. The user's row is locked, so that any
 * later change of keys also changes the new lease.
 */
export async function withKeysOfNow<R extends { user: User; publicKeys: string[]; keyInRequest: string | null }>(
  tx: Tx,
  request: R,
  locked: User | undefined,
): Promise<R> {
  if (!locked || request.keyInRequest !== null || locked.accessVersion === request.user.accessVersion) {
    return request;
  }
  return { ...request, publicKeys: (await listUserKeys(tx, locked.id)).map(({ publicKey }) => publicKey) };
}

/**
 * Makes the accounts of all running leases of a user due, so that the schedulers install the new access. The caller has locked the user,
 * and calls this in the transaction that changes the user's keys, or disables or enables the user.
 */
export async function accessChanged(tx: Tx, userId: number): Promise<void> {
  await noteAccessChange(tx, userId);
  await wantAccessAnew(tx, [...(await lockKeysOfLeases(tx, userId)).keys()]);
}
