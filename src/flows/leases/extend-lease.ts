import { type Tx, transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { traced } from '../../lib/trace';
import { actorOf, findUser, type User } from '../../modules/accounts';
import { recordEvent } from '../../modules/audit';
import {
  checkTerm,
  extendEnd,
  findExtension,
  findLease,
  isRunning,
  type Lease,
  lockOwnedLease,
  refreshPlacement,
} from '../../modules/leases';
import type { FlowContext } from '../support/context';
import { failpoint } from '../support/failpoints';
import { type LeaseView, viewLeases } from './view-lease';

export interface ExtendRequest {
  leaseId: number;
  by: User;
  seconds: number;
  /** Repeating the request with the same key extends the lease once. */
  idempotencyKey: string | null;
}

const noSuchLease = (): OrionError => new OrionError('not_found', 'There is no such lease. `GET /api/leases` lists yours.');

/**
 * Moves the end of a running lease and records that in the same transaction (I4). A scheduler then updates the account on the node. Throws
 * not_found (also for another user's lease), lease_over, duration_too_long and idempotency_key_reused.
 */
export const extendLease = traced('extend-lease', async (ctx: FlowContext, request: ExtendRequest): Promise<LeaseView> => {
  failpoint('extend.begin');
  await transaction(ctx.db, (tx) => extend(tx, request));
  failpoint('extend.done');
  const lease = await findLease(ctx.db, request.leaseId);
  const [view] = await viewLeases(ctx.db, lease ? [lease] : []);
  if (!view) {
    throw noSuchLease();
  }
  return view;
});

async function extend(tx: Tx, { leaseId, by, seconds, idempotencyKey }: ExtendRequest): Promise<void> {
  const lease = await lockOwnedLease(tx, leaseId, by.role === 'admin' ? undefined : by.id);
  if (!lease) {
    throw noSuchLease();
  }
  if (idempotencyKey !== null && (await repeats(tx, { leaseId, seconds, idempotencyKey }))) {
    return;
  }
  refuseIfOver(lease);
  const owner = await findUser(tx, lease.userId);
  checkTerm((lease.endsAt.getTime() - lease.createdAt.getTime()) / 1000 + seconds, owner ?? by);
  await extendEnd(tx, { leaseId, idempotencyKey, seconds, extendedBy: by.id });
  await refreshPlacement(tx, leaseId);
  const endsAfter = new Date(lease.endsAt.getTime() + seconds * 1000);
  await recordEvent(tx, {
    type: 'lease.extended',
    actor: actorOf(by),
    leaseId,
    userId: lease.userId,
    data: { seconds, ends_before: lease.endsAt.toISOString(), ends_after: endsAfter.toISOString() },
  });
  failpoint('extend.commit');
}

function refuseIfOver(lease: Lease): void {
  if (!isRunning(lease.state) || lease.remainingSeconds <= 0) {
    throw new OrionError(
      'lease_over',
      `The lease ended at ${lease.endsAt.toISOString()} or was released; it cannot be extended. Rent again.`,
    );
  }
}

async function repeats(
  tx: Tx,
  { leaseId, seconds, idempotencyKey }: { leaseId: number; seconds: number; idempotencyKey: string },
): Promise<boolean> {
  const before = await findExtension(tx, leaseId, idempotencyKey);
  if (before !== undefined && Math.abs(before - seconds) > 0.001) {
    throw new OrionError('idempotency_key_reused', 'This Idempotency-Key stands for a different extension. Use a new key.');
  }
  return before !== undefined;
}
