import { transaction } from '../../db/transaction';
import type { PassResult } from '../../lib/loop';
import type { SweepJob } from '../../modules/jobs';
import { EXPIRED, lockExpiredLeases } from '../../modules/leases';
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
    for (const lease of leases) {
      await endLease(tx, lease, { reason: 'expired', actor: ctx.actor });
    }
    if (leases.length > 0) {
      failpoint('expire.commit');
    }
    return leases;
  });
  if (ended.length > 0) {
    failpoint('expire.done');
  }
  for (const { id: leaseId, endsAt } of ended) {
    ctx.logger.info('lease expired', { leaseId, endsAt });
  }
  return ended.length === BATCH ? 'more' : 'done';
}
