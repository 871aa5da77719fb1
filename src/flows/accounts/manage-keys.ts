import { isDuplicate, type Tx, transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import {
  actorOf,
  deleteUserKey,
  insertUserKey,
  listUserKeys,
  lockUser,
  parseSshPublicKey,
  type User,
  type UserKey,
} from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import { lockKeysOfLeases, setKeysOfLease } from '../../modules/leases';
import { accessChanged } from './admitted-keys';
import type { FlowContext } from '../support/context';

const MAX_KEYS = 20;

/**
 * Adds a public key to an account. The key opens the running leases and later ones. Throws invalid_request, key_taken and quota_exceeded.
 */
export async function addKey(ctx: FlowContext, user: User, { name, publicKey }: { name: string; publicKey: string }): Promise<UserKey> {
  const key = parseSshPublicKey(publicKey);
  try {
    return await transaction(ctx.db, async (tx) => {
      await lockUser(tx, user.id);
      if ((await listUserKeys(tx, user.id)).length >= MAX_KEYS) {
        throw new OrionError('quota_exceeded', `An account may have ${MAX_KEYS} keys. Remove one first.`);
      }
      const added = await insertUserKey(tx, user.id, {
        name: name || key.comment || 'key',
        publicKey: key.line,
        fingerprint: key.fingerprint,
      });
      await accessChanged(tx, user.id);
      await recordEvent(tx, {
        type: 'key.added',
        actor: actorOf(user),
        userId: user.id,
        data: { key_id: added.id, fingerprint: added.fingerprint },
      });
      return added;
    });
  } catch (error) {
    throw isDuplicate(error, 'user_keys_fingerprint') ? new OrionError('key_taken', 'The account has that key already.') : error;
  }
}

/** Removes a key from an account. It then opens neither later leases nor running ones, even if a rent request contained it. */
export async function removeKey(ctx: FlowContext, user: User, keyId: number): Promise<void> {
  await transaction(ctx.db, async (tx) => {
    await lockUser(tx, user.id);
    const removed = await deleteUserKey(tx, user.id, keyId);
    if (!removed) {
      throw new OrionError('not_found', 'The account has no such key. `GET /api/keys` lists them.');
    }
    await takeFromLeases(tx, user.id, removed.publicKey);
    await accessChanged(tx, user.id);
    await recordEvent(tx, {
      type: 'key.removed',
      actor: actorOf(user),
      userId: user.id,
      data: { key_id: keyId, fingerprint: removed.fingerprint },
    });
  });
}

async function takeFromLeases(tx: Tx, userId: number, publicKey: string): Promise<void> {
  for (const [leaseId, keys] of await lockKeysOfLeases(tx, userId)) {
    if (keys.includes(publicKey)) {
      await setKeysOfLease(
        tx,
        leaseId,
        keys.filter((key) => key !== publicKey),
      );
    }
  }
}
