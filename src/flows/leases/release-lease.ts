import { transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { traced } from '../../lib/trace';
import { actorOf, type User } from '../../modules/accounts';
import { findLease, isRunning, lockOwnedLease } from '../../modules/leases';
import type { FlowContext } from '../support/context';
import { endLease } from './end-lease';
import { failpoint } from '../support/failpoints';
import { type LeaseView, viewLeases } from './view-lease';

/**
 * Ends a lease before its time; the schedulers wipe its account. Releasing a lease that is over succeeds and changes nothing. Throws
 * not_found, also for another user's lease.
 */
export const releaseLease = traced(
  'release-lease',
  async (ctx: FlowContext, { leaseId, by }: { leaseId: number; by: User }): Promise<LeaseView> => {
    failpoint('release.begin');
    await transaction(ctx.db, async (tx) => {
      const lease = await lockOwnedLease(tx, leaseId, by.role === 'admin' ? undefined : by.id);
      if (!lease) {
        throw new OrionError('not_found', 'There is no such lease. `GET /api/leases` lists yours.');
      }
      if (isRunning(lease.state)) {
        await endLease(tx, lease, { reason: lease.userId === by.id ? 'released' : 'revoked', actor: actorOf(by) });
      }
      failpoint('release.commit');
    });
    failpoint('release.done');
    const lease = await findLease(ctx.db, leaseId);
    const [view] = await viewLeases(ctx.db, lease ? [lease] : []);
    if (!view) {
      throw new Error('a lease vanished');
    }
    return view;
  },
);
