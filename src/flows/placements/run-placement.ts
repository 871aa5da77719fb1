import { type Batch, type Transaction, transaction, type Tx } from '../../db/transaction';
import type { MoveCause } from '../../lib/event-types';
import type { Logger } from '../../lib/logger';
import { traced } from '../../lib/trace';
import { findMoveCause, recordEvent } from '../../modules/audit';
import { forgetFinalBackup } from '../../modules/checkpoints';
import { claimed as allClaimed, type QueueJob } from '../../modules/jobs';
import {
  activateLease,
  type ClaimedPlacement,
  claimDuePlacements,
  findLease,
  isRunning,
  type Lease,
  markMigrating,
  PLACEMENTS,
  renewPlacement,
  completePlacement,
} from '../../modules/leases';
import { expectHeartbeat, findNode, lockNode, LOST, type ReachableNode, resetProvisionFailures, targetOf } from '../../modules/nodes';
import { type PlayReport, ProvisioningError, StaleUidError, UidTakenError } from '../../modules/provisioning';
import { admittedKeys } from '../accounts/admitted-keys';
import type { WorkContext } from '../support/context';
import { accessRule, accountAccess } from './account-access';
import { ClaimLostError, keepClaim } from '../support/keep-claim';
import { leaveLostNode, recordFailure } from './placement-failure';
import { recordRestore, type Restored, restoreHome, takeHomeElsewhere } from './restore-home';
import { failpoint } from '../support/failpoints';
import { handleUidTaken } from './uid-taken';
import { whenFree } from '../support/when-free';

export const placementJob: QueueJob<WorkContext, ClaimedPlacement> = {
  name: 'placement',
  description: 'makes accounts present on nodes, and brings their keys and ends up to date',
  period: ({ settings }) => settings.jobs.workSeconds,
  concurrency: ({ settings }) => settings.jobs.playsClaimed,
  queue: PLACEMENTS,
  claim: (ctx, room) => claimPlacements(ctx, room).then(allClaimed),
  run: (ctx, claim) => runPlacement(ctx, claim),
  causeOf: ({ cause }) => cause,
};

export function claimPlacements(ctx: WorkContext, limit: number): Promise<ClaimedPlacement[]> {
  return transaction(ctx.db, (tx) => claimDuePlacements(tx, limit, ctx.settings.claimSeconds));
}

/** The lease and the node of a placement. */
interface Job {
  lease: Lease;
  node: ReachableNode;
}

/** A job with the keys that open its account. Undefined: the owner is disabled, and no key opens the account. */
interface KeyedJob extends Job {
  keys: string[] | undefined;
}

/**
 * Makes a claimed placement present. If its node fails, the lease moves and the next placement is worked on. This ends when a placement is
 * present, the claim is lost, or nothing can be done now; then the placement is due again later. Never throws for a fault of a node.
 *
 * @param job lease and node of the placement, when the caller has just committed them
 */
export const runPlacement = traced('run-placement', async (ctx: WorkContext, claimed: ClaimedPlacement, job?: Job): Promise<void> => {
  let next = await attempt(ctx, claimed, job);
  while (next) {
    next = await attempt(ctx, next);
  }
});

async function attempt(ctx: WorkContext, placement: ClaimedPlacement, known?: Job): Promise<ClaimedPlacement | null> {
  failpoint('placement.claimed');
  // A job that was just committed has the current keys.
  const job = known ? { ...known, keys: known.lease.publicKeys } : await findJob(ctx, placement);
  if (!job) {
    return null;
  }
  const { lease, node } = job;
  if (LOST.includes(node.status)) {
    return whenFree(ctx, () => transaction(ctx.db, (tx) => leaveLostNode(tx, ctx, placement)));
  }
  failpoint('placement.making');
  const { made, error } = await tryPresent(ctx, placement, job);
  const logger = ctx.logger.child({ leaseId: lease.id, nodeId: node.id, generation: placement.generation });
  if (error instanceof ClaimLostError) {
    logger.warn('placement taken by another');
    ctx.metrics.placements.inc({ result: 'lost' });
    return null;
  }
  if (made) {
    return completeMade(ctx, { placement, job, made, logger });
  }
  const { failure } = error;
  const nextFree = nextUidAfter(error);
  if (nextFree !== undefined && placement.untouched) {
    logger.warn('uid refused', { uid: placement.uid, reason: error.message });
    return whenFree(ctx, () => transaction(ctx.db, (tx) => handleUidTaken(tx, { ctx, placement, why: error.message, nextFree })));
  }
  logger.warn('placement failed', { failure, error });
  ctx.metrics.placements.inc({ result: failure });
  return whenFree(ctx, () => transaction(ctx.db, (tx) => recordFailure(tx, { ctx, placement, failure, message: error.message })));
}

/**
 * Returns the lowest uid that the node may accept, when it refused one. A fence that is ahead of the database is no failure: a late check
 * of logins wiped its account there, or the database was restored from a backup. A late order has lost its claim, so it gets no other uid;
 * and the node refuses every uid while an account of another lease is there.
 */
function nextUidAfter(error: ProvisioningError): number | undefined {
  if (error instanceof StaleUidError) {
    return error.fence + 1;
  }
  return error instanceof UidTakenError ? error.nextFree : undefined;
}

interface Made {
  report: PlayReport;
  /** Null: there was nothing to restore. */
  restored: Restored | null;
}

interface MadePlacement {
  placement: ClaimedPlacement;
  job: Job;
  made: Made;
  logger: Logger;
}

/**
 * Completes a placement whose account was made. Returns the placement to work on next. Null: the account is present and its lease active,
 * or this process has lost its claim.
 */
async function completeMade(
  ctx: WorkContext,
  { placement, job: { lease, node }, made, logger }: MadePlacement,
): Promise<ClaimedPlacement | null> {
  failpoint('placement.made');
  const next = await takeHomeElsewhere(ctx, placement, made.restored);
  if (next) {
    logger.warn('home taken elsewhere', { toNode: next.nodeId, reason: made.restored?.fault });
    ctx.metrics.placements.inc({ result: 'failed' });
    return next;
  }
  const [completed] = await Promise.all([
    transaction(ctx.db, (tx) => recordSuccess(tx, { ctx, placement, lease, ...made })),
    expectHeartbeat(ctx.db, node.id, ctx.settings.heartbeatOverdueSeconds),
  ]);
  failpoint('placement.completed');
  logger.info(completed ? 'placement present' : 'placement taken by another', { durationMs: made.report.durationMs });
  ctx.metrics.placements.inc({ result: completed ? 'ok' : 'lost' });
  return null;
}

type Tried = { made: Made; error?: undefined } | { made?: undefined; error: ProvisioningError | ClaimLostError };

/**
 * Makes the account present. Only errors of the provisioner count against a node. Any other error (the database went away, our own disk is
 * full) is thrown; then the claim expires and the work is done again.
 */
async function tryPresent(ctx: WorkContext, placement: ClaimedPlacement, job: KeyedJob): Promise<Tried> {
  try {
    return { made: await ensurePresent(ctx, placement, job) };
  } catch (error) {
    if (error instanceof ProvisioningError || error instanceof ClaimLostError) {
      return { error };
    }
    throw error;
  }
}

/** Finds lease, node and keys of the placement. Undefined: there is nothing to do, because the lease is over or has moved on. */
async function findJob(ctx: WorkContext, placement: ClaimedPlacement): Promise<KeyedJob | undefined> {
  const [lease, node] = await Promise.all([findLease(ctx.db, placement.leaseId), findNode(ctx.db, placement.nodeId)]);
  if (!lease || !node || !isRunning(lease.state) || lease.generation !== placement.generation || lease.remainingSeconds <= 0) {
    return undefined;
  }
  return { lease, node, keys: (await admittedKeys(ctx.db, [lease])).get(lease.id) };
}

function ensurePresent(ctx: WorkContext, placement: ClaimedPlacement, { lease, node, keys }: KeyedJob): Promise<Made> {
  const target = targetOf(node);
  const { username, uid, generation } = placement;
  const { id: leaseId, remainingSeconds } = lease;
  const access = accountAccess({ keys, passwordHash: lease.passwordHash }, ctx.settings);
  return keepClaim(
    ctx,
    () => renewPlacement(ctx.db, placement, ctx.settings.claimSeconds),
    async (signal) => {
      const account = { leaseId, generation, username, uid, ...access, remainingSeconds, proveLogin: placement.state === 'creating' };
      // The node may have a tenant that a restored database does not know: a new account never comes beside another one (I1).
      const report = await ctx.provisioner.ensurePresent(target, { ...account, ...(placement.untouched && { alone: true }) }, signal);
      return { report, restored: await restoreHome(ctx, { placement, target }, signal) };
    },
  );
}

interface Success extends Made {
  ctx: WorkContext;
  placement: ClaimedPlacement;
  lease: Lease;
}

interface Migration {
  seconds: number;
  cause: MoveCause;
}

/**
 * Returns how long the lease has been migrating, and why. Null, without a query, for a lease in provisioning, because only an active lease
 * can migrate.
 */
async function migrationOf(batch: Batch, { id, state }: Lease): Promise<Migration | null> {
  if (state === 'provisioning') {
    return null;
  }
  const [lease, cause] = await Promise.all([findLease(batch, id), findMoveCause(batch, id)]);
  const seconds = lease?.migratingSeconds ?? null;
  return seconds === null ? null : { seconds, cause };
}

/**
 * Returns why a lease must leave the node on which its account was just made. An order that was given before the lease was active could not
 * move it. Null: the lease stays.
 */
async function reasonToLeave(tx: Tx, nodeId: number): Promise<{ reason: string; cause: MoveCause } | null> {
  // The lock waits for an order that is being given, which saw the lease in provisioning.
  const node = await lockNode(tx, nodeId);
  if (!node || LOST.includes(node.status)) {
    return { reason: 'its node was lost', cause: node?.status === 'quarantined' ? 'quarantine' : 'death' };
  }
  return node.drained && node.evacuating ? { reason: 'its node is drained', cause: 'planned' } : null;
}

async function recordSuccess(tx: Transaction, { ctx, placement, lease, report, restored }: Success): Promise<boolean> {
  if (!(await completePlacement(tx, placement, { appliedEndsAt: lease.endsAt, accessRule: accessRule(ctx.settings), report }))) {
    return false;
  }
  const [migration, activated] = await tx.batch((batch) =>
    Promise.all([
      migrationOf(batch, lease),
      // A refreshed account does not activate a lease that waits to leave its node.
      placement.state === 'creating' && activateLease(batch, lease.id, placement.generation),
      resetProvisionFailures(batch, placement.nodeId),
    ]),
  );
  const [away] = await tx.batch((batch) =>
    Promise.all([
      activated ? reasonToLeave(batch, placement.nodeId) : null,
      recordEvent(batch, {
        type: activated ? 'lease.active' : 'placement.refreshed',
        actor: ctx.actor,
        leaseId: lease.id,
        nodeId: placement.nodeId,
        userId: lease.userId,
        data: {
          generation: placement.generation,
          duration_ms: Math.round(report.durationMs),
          migration_seconds: activated && migration ? migration.seconds : null,
        },
      }),
      recordRestore(batch, ctx, { placement, lease, restored }),
    ]),
  );
  if (away !== null && (await markMigrating(tx, lease.id))) {
    await forgetFinalBackup(tx, lease.id);
    const { id: leaseId, userId } = lease;
    await recordEvent(tx, { type: 'lease.migrating', actor: ctx.actor, leaseId, nodeId: placement.nodeId, userId, data: { ...away } });
  }
  if (activated && migration) {
    ctx.metrics.migrations.inc({ result: 'ok' });
    ctx.metrics.migrationSeconds.observe({ cause: migration.cause }, migration.seconds);
  }
  failpoint('placement.commit');
  return true;
}
