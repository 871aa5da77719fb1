import type { Tx } from '../../db/transaction';
import { backoffSeconds } from '../../lib/backoff';
import { recordEvent } from '../../modules/audit';
import {
  type ClaimedPlacement,
  decideAfterFailure,
  type Lease,
  lockLease,
  markMigrating,
  parkPlacement,
  reclaimPlacement,
  failPlacement,
} from '../../modules/leases';
import { countProvisionFailure, findNode, LOST, suspectNode } from '../../modules/nodes';
import type { ProvisioningFailure } from '../../modules/provisioning';
import type { WorkContext } from '../support/context';
import { failRent } from '../leases/end-lease';
import { moveLease } from '../leases/move-lease';
import { quarantine } from '../nodes/quarantine-node';

/** A lease that was moved this often while it was being provisioned fails, because the nodes are not the cause. */
const MAX_GENERATIONS_PER_RENT = 4;

/** Whether no work is possible on this node any more. */
const isLost = async (tx: Tx, nodeId: number): Promise<boolean> => LOST.includes((await findNode(tx, nodeId))?.status ?? 'retired');

export interface Failure {
  ctx: WorkContext;
  placement: ClaimedPlacement;
  failure: ProvisioningFailure;
  message: string;
}

/** Records a failure and decides the next action in one transaction. Returns the placement to work on next, or null. */
export async function recordFailure(tx: Tx, { ctx, placement, failure, message }: Failure): Promise<ClaimedPlacement | null> {
  const lease = await lockLease(tx, placement.leaseId);
  const attempts = placement.attempts + 1;
  const retrySeconds = backoffSeconds(ctx.settings.retry, attempts, Math.random());
  if (!lease || !(await failPlacement(tx, placement, { message, retrySeconds }))) {
    return null;
  }
  const { nodeId, generation, leaseId } = placement;
  await recordEvent(tx, {
    type: 'placement.failed',
    actor: ctx.actor,
    leaseId,
    nodeId,
    userId: lease.userId,
    data: { failure, message: message.slice(0, 300), generation },
  });
  if (placement.state === 'present') {
    // Only the update of the account failed, and the account is present. The probes decide whether the node is healthy.
    await suspectNode(tx, nodeId, message);
    return null;
  }
  // These failures do not count against the node. If a node refuses logins, the check after its wipe withholds it and shows the reason.
  if (failure !== 'stale' && failure !== 'uid_taken' && failure !== 'login_refused') {
    await blameNode(tx, { ctx, nodeId, failure, message });
  }
  if (decideAfterFailure({ failure, attempts }) === 'retry' && !(await isLost(tx, nodeId))) {
    return reclaimPlacement(tx, placement, ctx.settings.claimSeconds);
  }
  return moveOn(tx, ctx, { lease, generation });
}

/**
 * Handles a placement whose node was lost. An account that was present leaves with the migration that the loss started. An account that was
 * still being made goes to another node now.
 */
export async function leaveLostNode(tx: Tx, ctx: WorkContext, placement: ClaimedPlacement): Promise<ClaimedPlacement | null> {
  const lease = await lockLease(tx, placement.leaseId);
  const held = await failPlacement(tx, placement, { message: 'its node was lost', retrySeconds: ctx.settings.migrateIntervalSeconds });
  if (!lease || !held) {
    return null;
  }
  if (lease.state === 'provisioning') {
    return moveOn(tx, ctx, { lease, generation: placement.generation });
  }
  await parkPlacement(tx, lease.id);
  await markMigrating(tx, lease.id);
  return null;
}

/**
 * Moves a lease whose account could not be made to the next node. Null: no node was found. Then a new rent has failed, and an older lease
 * waits for a migration.
 */
export async function moveOn(
  tx: Tx,
  ctx: WorkContext,
  { lease, generation }: { lease: Lease; generation: number },
): Promise<ClaimedPlacement | null> {
  const rentIsNew = lease.state === 'provisioning';
  const moved = rentIsNew && generation >= MAX_GENERATIONS_PER_RENT ? null : await moveLease(tx, ctx, lease);
  if (!moved && rentIsNew) {
    await failRent(tx, lease.rentId, ctx.actor);
  } else if (!moved) {
    await markMigrating(tx, lease.id);
  }
  return moved;
}

async function blameNode(
  tx: Tx,
  { ctx, nodeId, failure, message }: { ctx: WorkContext; nodeId: number; failure: ProvisioningFailure; message: string },
): Promise<void> {
  if (failure === 'host_key_changed') {
    await quarantine(tx, ctx, { nodeId, reason: message, leaveLease: true });
    return;
  }
  if (failure === 'unreachable' || failure === 'deadline') {
    await suspectNode(tx, nodeId, message);
  }
  if ((await countProvisionFailure(tx, nodeId)) >= ctx.settings.maxProvisionFailures) {
    await quarantine(tx, ctx, {
      nodeId,
      reason: `provisioning failed ${ctx.settings.maxProvisionFailures} times in a row: ${message}`,
      leaveLease: true,
    });
  }
}
