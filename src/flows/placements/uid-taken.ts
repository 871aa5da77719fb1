import type { Tx } from '../../db/transaction';
import { recordEvent } from '../../modules/audit';
import { type ClaimedPlacement, lockLease, renumberPlacement, failPlacement } from '../../modules/leases';
import { noteUidRefusal, takeUid } from '../../modules/nodes';
import type { WorkContext } from '../support/context';
import { moveOn } from './placement-failure';

/** Uids that one node may refuse for one account. After that the lease leaves the machine, and its operator has to check it. */
const MAX_REFUSED_UIDS = 4;

export interface UidTaken {
  ctx: WorkContext;
  placement: ClaimedPlacement;
  /** The reason as the node reports it. */
  why: string;
  nextFree: number;
}

/**
 * Handles a new account whose uid another account on the node uses. The placement gets the node's next uid and is tried again at once,
 * because this is no failure of the machine. After several refusals in a row, or when no uid is left, the lease moves. Returns the
 * placement to work on next, or null.
 */
export async function handleUidTaken(tx: Tx, { ctx, placement, why, nextFree }: UidTaken): Promise<ClaimedPlacement | null> {
  const { nodeId, leaseId, generation, uid } = placement;
  const lease = await lockLease(tx, leaseId);
  if (!lease) {
    return null;
  }
  const mayTryAgain = (placement.refusedUids ?? 0) + 1 < MAX_REFUSED_UIDS;
  const next = mayTryAgain ? await takeUid(tx, { nodeId, fleet: ctx.settings.uids, least: Math.max(nextFree, uid + 1) }) : null;
  const renumbered =
    next === null ? undefined : await renumberPlacement(tx, placement, { uid: next, claimSeconds: ctx.settings.claimSeconds });
  const held =
    renumbered ??
    (next === null && (await failPlacement(tx, placement, { message: why, retrySeconds: ctx.settings.migrateIntervalSeconds })));
  if (!held) {
    return null;
  }
  await recordEvent(tx, {
    type: 'uid.taken',
    actor: ctx.actor,
    leaseId,
    nodeId,
    userId: lease.userId,
    data: { uid, why: why.slice(0, 300), next, generation },
  });
  if (renumbered) {
    return renumbered;
  }
  await noteUidRefusal(tx, nodeId, why);
  ctx.logger.error('node left for its refused uids', { nodeId, leaseId, reason: why });
  return moveOn(tx, ctx, { lease, generation });
}
