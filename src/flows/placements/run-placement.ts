import { type Transaction, transaction, type Tx } from '../../db/transaction';
import type { Logger } from '../../lib/logger';
import { recordEvent } from '../../modules/audit';
import { forgetFinalBackup } from '../../modules/checkpoints';
import { claimed as allClaimed, type QueueJob } from '../../modules/jobs';
import {
  activateLease, type ClaimedPlacement, claimDuePlacements, findLease, isRunning, type Lease, markMigrating, PLACEMENTS, renewPlacement,
  settlePresent,
} from '../../modules/leases';
import { expectHeartbeat, findNode, lockNode, LOST, type ReachableNode, resetProvisionFailures, targetOf } from '../../modules/nodes';
import { type PlayReport, ProvisioningError, StaleUidError, UidTakenError } from '../../modules/provisioning';
import { admittedKeys } from '../accounts/admitted-keys';
import type { WorkContext } from '../support/context';
import { ClaimLostError, keepClaim } from '../support/keep-claim';
import { leaveLostNode, settleFailure } from './placement-failure';
import { recordRestore, type Restored, restoreHome, takeHomeElsewhere } from './restore-home';
import { failpoint } from '../support/failpoints';
import { settleUidTaken } from './uid-taken';
import { whenFree } from '../support/when-free';

export const placementJob: QueueJob<WorkContext, ClaimedPlacement> = {
  name: 'placement',
  description: 'makes accounts present on nodes, and brings their keys and ends up to date',
  period: ({ settings }) => settings.jobs.workSeconds,
  concurrency: ({ settings }) => settings.jobs.playsClaimed,
  queue: PLACEMENTS,
  claim: (ctx, room) => claimPlacements(ctx, room).then(allClaimed),
  run: (ctx, claim) => runPlacement(ctx, claim),
};

/** Claims placements that have to be made present or brought up to date. */
export function claimPlacements(ctx: WorkContext, limit: number): Promise<ClaimedPlacement[]> {
  return transaction(ctx.db, (tx) => claimDuePlacements(tx, limit, ctx.settings.claimSeconds));
}

/** What a placement is for. */
interface Job {
  lease: Lease;
  node: ReachableNode;
}

/** A job, and the keys that open its account; undefined: its owner is disabled, nothing opens it. */
interface KeyedJob extends Job {
  keys: string[] | undefined;
}

/**
 * Makes a claimed placement present. When its node fails, the lease is moved and the next placement is worked on, until one is there, or the
 * claim is lost, or nothing can be done for now (then it is due again later). Never throws for a node's sake.
 *
 * @param job what the placement is for, when the caller has just committed it
 */
export async function runPlacement(ctx: WorkContext, claimed: ClaimedPlacement, job?: Job): Promise<void> {
  let next = await attempt(ctx, claimed, job);
  while (next) {
    next = await attempt(ctx, next);
  }
}

async function attempt(ctx: WorkContext, placement: ClaimedPlacement, known?: Job): Promise<ClaimedPlacement | null> {
  failpoint('placement.claimed');
  // A job that was just committed holds the keys of that moment.
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
    return settleMade(ctx, { placement, job, made, logger });
  }
  const { failure } = error;
  const nextFree = nextUidAfter(error);
  if (nextFree !== undefined && placement.untouched) {
    logger.warn('uid refused', { uid: placement.uid, reason: error.message });
    return whenFree(ctx, () => transaction(ctx.db, (tx) => settleUidTaken(tx, { ctx, placement, why: error.message, nextFree })));
  }
  logger.warn('placement failed', { failure, error });
  ctx.metrics.placements.inc({ result: failure });
  return whenFree(ctx, () => transaction(ctx.db, (tx) => settleFailure(tx, { ctx, placement, failure, message: error.message })));
}

/**
 * The lowest uid that the node may accept, when it refused one. A fence that is ahead of the database is no failure: a check of logins that came late wiped its
 * account, or the database is a backup. An order that comes late has lost its claim, so it gets no other uid.
 */
function nextUidAfter(error: ProvisioningError): number | undefined {
  if (error instanceof StaleUidError) {
    return error.fence + 1;
  }
  return error instanceof UidTakenError ? error.nextFree : undefined;
}

interface Made {
  report: PlayReport;
  /** Null when there was nothing to restore. */
  restored: Restored | null;
}

interface Settling {
  placement: ClaimedPlacement;
  job: Job;
  made: Made;
  logger: Logger;
}

/** What to work on next, or null: the account is there and its lease active, or this process has lost its claim. */
async function settleMade(ctx: WorkContext, { placement, job: { lease, node }, made, logger }: Settling): Promise<ClaimedPlacement | null> {
  failpoint('placement.made');
  const next = await takeHomeElsewhere(ctx, placement, made.restored);
  if (next) {
    logger.warn('home taken elsewhere', { toNode: next.nodeId, reason: made.restored?.fault });
    ctx.metrics.placements.inc({ result: 'failed' });
    return next;
  }
  const [settled] = await Promise.all([
    transaction(ctx.db, (tx) => settleSuccess(tx, { ctx, placement, lease, ...made })),
    expectHeartbeat(ctx.db, node.id, ctx.settings.heartbeatOverdueSeconds),
  ]);
  failpoint('placement.settled');
  logger.info(settled ? 'placement present' : 'placement taken by another', { durationMs: made.report.durationMs });
  ctx.metrics.placements.inc({ result: settled ? 'ok' : 'lost' });
  return null;
}

type Tried = { made: Made; error?: undefined } | { made?: undefined; error: ProvisioningError | ClaimLostError };

/**
 * Only what the provisioner says counts against a node. Anything else (the database went away, our own disk is full) is thrown: the claim
 * expires and the work is done again.
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

/** What the placement is for, or undefined when there is nothing to do: its lease is over or has moved on. */
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
  const publicKeys = keys ? [...keys, ...(ctx.settings.gatewayKey === null ? [] : [ctx.settings.gatewayKey])] : [];
  const passwordHash = keys ? lease.passwordHash : null;
  return keepClaim(
    ctx,
    () => renewPlacement(ctx.db, placement, ctx.settings.claimSeconds),
    async (signal) => {
      const report = await ctx.provisioner.ensurePresent(target, { leaseId, generation, username, uid, publicKeys, passwordHash, remainingSeconds, proveLogin: placement.state === 'creating' }, signal);
      return { report, restored: await restoreHome(ctx, { placement, target }, signal) };
    },
  );
}

interface Success extends Made {
  ctx: WorkContext;
  placement: ClaimedPlacement;
  lease: Lease;
}

/** Null for one that was being provisioned, unasked: it begins to migrate when it is active at the earliest. */
async function migratingSecondsOf(tx: Tx, { id, state }: Lease): Promise<number | null> {
  return state === 'provisioning' ? null : ((await findLease(tx, id))?.migratingSeconds ?? null);
}

/** Why a lease cannot stay where its account has just been made: what was ordered meanwhile could not move a lease that was not active yet. Null: it can. */
async function reasonToLeave(tx: Tx, nodeId: number): Promise<string | null> {
  // Locked: an order that is being given has seen the lease in provisioning.
  const node = await lockNode(tx, nodeId);
  if (!node || LOST.includes(node.status)) {
    return 'its node was lost';
  }
  return node.drained && node.evacuating ? 'its node is drained' : null;
}

async function settleSuccess(tx: Transaction, { ctx, placement, lease, report, restored }: Success): Promise<boolean> {
  if (!(await settlePresent(tx, placement, { appliedEndsAt: lease.endsAt, report }))) {
    return false;
  }
  const [migratingSeconds, activated] = await tx.batch((batch) => Promise.all([
    migratingSecondsOf(batch, lease),
    // A refreshed account does not activate a lease that waits to leave its node.
    placement.state === 'creating' && activateLease(batch, lease.id, placement.generation),
    resetProvisionFailures(batch, placement.nodeId),
  ]));
  const [away] = await tx.batch((batch) => Promise.all([
    activated ? reasonToLeave(batch, placement.nodeId) : null,
    recordEvent(batch, {
      type: activated ? 'lease.active' : 'placement.refreshed',
      actor: ctx.actor,
      leaseId: lease.id,
      nodeId: placement.nodeId,
      userId: lease.userId,
      data: { generation: placement.generation, duration_ms: Math.round(report.durationMs), migration_seconds: activated ? migratingSeconds : null },
    }),
    recordRestore(batch, ctx, { placement, lease, restored }),
  ]));
  if (away !== null && (await markMigrating(tx, lease.id))) {
    await forgetFinalBackup(tx, lease.id);
    await recordEvent(tx, { type: 'lease.migrating', actor: ctx.actor, leaseId: lease.id, nodeId: placement.nodeId, userId: lease.userId, data: { reason: away } });
  }
  if (activated && migratingSeconds !== null) {
    ctx.metrics.migrations.inc({ result: 'ok' });
    ctx.metrics.migrationSeconds.observe(migratingSeconds);
  }
  failpoint('placement.commit');
  return true;
}
