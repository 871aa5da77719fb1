import { isDuplicate } from '../db/transaction';
import { OrionError } from '../lib/errors';
import { deleteUserKey, insertUserKey, listUserKeys, parseSshPublicKey, type User, type UserKey } from '../modules/accounts';
import type { FlowContext } from './context';

const MAX_KEYS = 20;

/** Adds a public key to an account; later rents without a key of their own use them all. Throws invalid_request, key_taken, quota_exceeded. */
export async function addKey(ctx: FlowContext, user: User, { name, publicKey }: { name: string; publicKey: string }): Promise<UserKey> {
  const key = parseSshPublicKey(publicKey);
  if ((await listUserKeys(ctx.db, user.id)).length >= MAX_KEYS) {
    throw new OrionError('quota_exceeded', `An account may have ${MAX_KEYS} keys. Remove one first.`);
  }
  try {
    return await insertUserKey(ctx.db, user.id, { name: name || key.comment || 'key', publicKey: key.line, fingerprint: key.fingerprint });
  } catch (error) {
    throw isDuplicate(error, 'user_keys_fingerprint') ? new OrionError('key_taken', 'The account has that key already.') : error;
  }
}

export async function removeKey(ctx: FlowContext, user: User, keyId: number): Promise<void> {
  if (!(await deleteUserKey(ctx.db, user.id, keyId))) {
    throw new OrionError('not_found', 'The account has no such key. `GET /api/keys` lists them.');
  }
}
