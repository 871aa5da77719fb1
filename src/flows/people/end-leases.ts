import type { Tx } from '../../db/transaction';
import { isRunning, lockKeysOfLeases, lockLease } from '../../modules/leases';
import { endLease } from '../leases/end-lease';

/** Ends all running leases of a user that the caller has locked, so that no rent adds another one. Schedulers wipe the accounts. */
export async function endLeasesOf(tx: Tx, userId: number, actor: string): Promise<void> {
  for (const id of (await lockKeysOfLeases(tx, userId)).keys()) {
    const lease = await lockLease(tx, id);
    if (lease && isRunning(lease.state)) {
      await endLease(tx, lease, { reason: 'revoked', actor });
    }
  }
}
