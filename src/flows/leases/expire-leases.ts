import { transaction, type Tx } from '../../db/transaction';
import type { PassResult } from '../../lib/loop';
import { currentOrigin, type Origin, withOrigin } from '../../lib/origin';
import { inTrace } from '../../lib/trace';
import type { SweepJob } from '../../modules/jobs';
import { EXPIRED, type Lease, lockExpiredLeases } from '../../modules/leases';
import type { FlowContext } from '../support/context';
import { endLease } from './end-lease';
import { failpoint } from '../support/failpoints';

const BATCH = 50;

export const expireJob: SweepJob<FlowContext> = {
  name: 'expire',
  description: 'ends the leases whose time is up',
  period: ({ settings }) => settings.jobs.expireSeconds,
  queue: EXPIRED,
  sweep: expireLeases,
};

/** R22: ends the leases whose time is up by the database's clock. It only changes rows; separate jobs wipe the nodes. */
export async function expireLeases(ctx: FlowContext): Promise<PassResult> {
  failpoint('expire.begin');
  const ended = await transaction(ctx.db, async (tx) => {
    const leases = await lockExpiredLeases(tx, BATCH);
    const origins: [Lease, Origin | null][] = [];
    for (const lease of leases) {
      origins.push([lease, await expireLease(tx, ctx, lease)]);
    }
    if (leases.length > 0) {
      failpoint('expire.commit');
    }
    return origins;
  });
  if (ended.length > 0) {
    failpoint('expire.done');
  }
  for (const [{ id: leaseId, endsAt }, origin] of ended) {
    withOrigin(origin, () => ctx.logger.info('lease expired', { leaseId, endsAt }));
  }
  return ended.length === BATCH ? 'more' : 'done';
}

/** Ends one lease in a trace of its own, which its wipe continues. Returns the origin for log lines after the COMMIT. */
function expireLease(tx: Tx, ctx: FlowContext, lease: Lease): Promise<Origin | null> {
  return inTrace('expire-leases', {}, async () => {
    await endLease(tx, lease, { reason: 'expired', actor: ctx.actor });
    return currentOrigin();
  });
}
