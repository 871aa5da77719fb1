import { type Tx, transaction } from '../../db/transaction';
import { backoffSeconds } from '../../lib/backoff';
import { messageOf } from '../../lib/errors';
import { randomName } from '../../lib/ids';
import { traced } from '../../lib/trace';
import { recordEvent } from '../../modules/audit';
import { claimed, type QueueJob } from '../../modules/jobs';
import { endLeases, listPlacementsToWipe, type Placement, markPlacementsWiped } from '../../modules/leases';
import {
  type ClaimedWipe,
  claimDueWipes,
  parseNotExamined,
  reasonAgainst,
  renewWipe,
  completeWipe,
  failWipe,
  endUnfinishedWipe,
  type Storage,
  suspectNode,
  targetOf,
  WIPES,
} from '../../modules/nodes';
import {
  type AccountToWipe,
  type Fitness,
  NewerAccountError,
  type PlayReport,
  ProvisioningError,
  UnfinishedWipeError,
  type VerifyReport,
} from '../../modules/provisioning';
import type { WorkContext } from '../support/context';
import { ClaimLostError, keepClaim } from '../support/keep-claim';
import { quarantine } from '../nodes/quarantine-node';
import { failpoint } from '../support/failpoints';

export const wipeJob: QueueJob<WorkContext, ClaimedWipe> = {
  name: 'wipe',
  description: 'wipes dirty nodes, verifies that nothing is left, and frees them',
  period: ({ settings }) => settings.jobs.workSeconds,
  concurrency: ({ settings }) => settings.jobs.playsClaimed,
  queue: WIPES,
  claim: (ctx, room) => claimWipes(ctx, room).then(claimed),
  run: (ctx, claim) => wipeNode(ctx, claim),
  causeOf: ({ cause }) => cause,
};

export function claimWipes(ctx: WorkContext, limit: number): Promise<ClaimedWipe[]> {
  return transaction(ctx.db, (tx) => claimDueWipes(tx, limit, ctx.settings.claimSeconds));
}

interface WipeReport {
  wipe: PlayReport;
  verify: VerifyReport;
  /** Whether the next tenant could log in. */
  fitness: Fitness;
}

/** The verification found something that the wipe left. */
class NotCleanError extends Error {
  constructor(readonly findings: string[]) {
    super(`left after the wipe: ${findings.slice(0, 5).join('; ')}${findings.length > 5 ? ` and ${findings.length - 5} more` : ''}`);
  }
}

/**
 * R22–R24: wipes a claimed node, verifies it over a new connection, and only then marks it clean (I5). A failure is retried with backoff.
 * Too many failures quarantine the node (I9). Never throws for a fault of the node.
 */
export const wipeNode = traced('wipe-node', async (ctx: WorkContext, claim: ClaimedWipe): Promise<void> => {
  const logger = ctx.logger.child({ nodeId: claim.node.id });
  const startedAt = ctx.clock.monotonicMs();
  failpoint('wipe.claimed');
  const placements = await listPlacementsToWipe(ctx.db, claim.node.id);
  try {
    const report = await keepClaim(
      ctx,
      () => renewWipe(ctx.db, claim, ctx.settings.claimSeconds),
      (signal) => wipeAndVerify(ctx, { claim, placements, signal }),
    );
    const completed = await transaction(ctx.db, (tx) => recordSuccess(tx, { ctx, claim, placements, report }));
    failpoint('wipe.done');
    ctx.metrics.wipes.inc({ result: completed ? 'ok' : 'lost' });
    ctx.metrics.wipeSeconds.observe((ctx.clock.monotonicMs() - startedAt) / 1000);
    logger.info(completed ? 'node wiped' : 'wipe taken by another', {
      accounts: placements.length,
      durationMs: ctx.clock.monotonicMs() - startedAt,
    });
  } catch (error) {
    if (error instanceof ClaimLostError) {
      ctx.metrics.wipes.inc({ result: 'lost' });
      logger.warn('wipe taken by another', {});
      return;
    }
    if (error instanceof UnfinishedWipeError) {
      // Retried after a pause, because a node could report this for ever.
      await transaction(ctx.db, (tx) => endUnfinishedWipe(tx, claim, backoffSeconds(ctx.settings.retry, 1, Math.random())));
      ctx.metrics.wipes.inc({ result: 'unfinished' });
      logger.warn('wipe goes on: its time was over before everything was removed', { durationMs: ctx.clock.monotonicMs() - startedAt });
      return;
    }
    ctx.metrics.wipes.inc({ result: 'failed' });
    if (!(error instanceof ProvisioningError) && !(error instanceof NotCleanError)) {
      // Not a fault of the node (the database went away, our own disk is full). The claim expires and the wipe is done again.
      throw error;
    }
    logger.error('wipe failed', { error, output: error instanceof ProvisioningError ? error.output : undefined });
    await transaction(ctx.db, (tx) => recordFailure(tx, { ctx, claim, error }));
  }
});

async function wipeAndVerify(
  ctx: WorkContext,
  { claim, placements, signal }: { claim: ClaimedWipe; placements: Placement[]; signal: AbortSignal },
): Promise<WipeReport> {
  const target = targetOf(claim.node);
  const accounts = placements.map(({ username, uid, presentAt }) => ({ username, uid, ...(presentAt === null ? { unsure: true } : {}) }));
  const wipe = await wipeAll(ctx, { claim, accounts, signal });
  failpoint('wipe.wiped');
  const { never_made: neverMade } = wipe.details;
  const made = accounts.filter(({ username, unsure }) => !unsure || !Array.isArray(neverMade) || !neverMade.includes(username));
  const verify = await ctx.provisioner.verifyClean(target, made, signal);
  if (!verify.clean) {
    throw new NotCleanError(verify.findings);
  }
  failpoint('wipe.verified');
  return { wipe, verify, fitness: await lookAtFitness(ctx, { claim, wipe, signal }) };
}

const fenceOf = ({ details: { fence } }: PlayReport): number => (typeof fence === 'number' ? fence : 0);

/** Checks whether a tenant could log in, with the uid that the next account would get. */
function lookAtFitness(
  { provisioner }: WorkContext,
  { claim, wipe, signal }: { claim: ClaimedWipe; wipe: PlayReport; signal: AbortSignal },
): Promise<Fitness> {
  const { login_rules: rules } = wipe.details;
  if (typeof rules !== 'string') {
    return Promise.resolve({ checks: [], fence: undefined });
  }
  // After a failed check, which may have run on another scheduler, the check runs again even if the login rules did not change.
  const known = claim.node.withheldLooks === 0 ? rules : '';
  const uid = Math.max(claim.newestUid, fenceOf(wipe)) + 1;
  return provisioner.proveFitness(targetOf(claim.node), { username: `orn-check-${randomName(8)}`, uid }, { rules: known, signal });
}

/**
 * Wipes the node. The node refuses if it has an account that is newer than the claim. Two cases are possible. This process was frozen, its
 * claim is lost, and the next tenant has the node. Or the node has accounts that the database does not know (of another fleet, or from
 * after a backup that was restored). If the claim still holds, it is the second case, and all accounts on the node are wiped.
 */
async function wipeAll(
  { db, provisioner, settings }: WorkContext,
  { claim, accounts, signal }: { claim: ClaimedWipe; accounts: AccountToWipe[]; signal: AbortSignal },
): Promise<PlayReport> {
  const target = targetOf(claim.node);
  try {
    return await provisioner.wipe(target, accounts, { newestUid: claim.newestUid, signal });
  } catch (error) {
    if (!(error instanceof NewerAccountError)) {
      throw error;
    }
    if (!(await renewWipe(db, claim, settings.claimSeconds))) {
      throw new ClaimLostError('the claim was lost', { cause: error });
    }
    return provisioner.wipe(target, accounts, { newestUid: error.newestUid, signal });
  }
}

async function recordSuccess(
  tx: Tx,
  { ctx, claim, placements, report }: { ctx: WorkContext; claim: ClaimedWipe; placements: Placement[]; report: WipeReport },
): Promise<boolean> {
  const { wipe, verify, fitness } = report;
  const storage = storageOf(report);
  const failing = fitness.checks.find(({ result }) => result === 'fail');
  const withheld = await completeWipe(tx, claim, {
    fence: fitness.fence ?? fenceOf(wipe),
    fleet: ctx.settings.uids,
    notExamined: storage.notExamined,
    checks: fitness.checks,
    withheld: ({ sharedStorage }) => reasonAgainst(storage, sharedStorage) ?? failing?.cause ?? null,
    againSeconds: backoffSeconds(ctx.settings.retry, claim.node.withheldLooks + 1, Math.random()),
  });
  if (withheld === undefined) {
    return false;
  }
  await markPlacementsWiped(
    tx,
    placements.map(({ id }) => id),
    { wipe, verify },
  );
  await recordOutcome(tx, { ctx, claim, report, withheld, accounts: placements.length });
  for (const { leaseId, generation } of placements) {
    await recordEvent(tx, { type: 'placement.wiped', actor: ctx.actor, leaseId, nodeId: claim.node.id, data: { generation } });
  }
  for (const leaseId of await endLeases(
    tx,
    placements.map((placement) => placement.leaseId),
  )) {
    await recordEvent(tx, { type: 'lease.ended', actor: ctx.actor, leaseId, nodeId: claim.node.id });
  }
  failpoint('wipe.commit');
  return true;
}

/** Combines the storage that the wipe and the verification did not examine. A finding of either of them counts. */
function storageOf({ wipe, verify }: WipeReport): Storage {
  const { home_storage: home, not_examined: lines } = wipe.details;
  return {
    homeType: typeof home === 'string' ? home : null,
    notExamined: parseNotExamined([...(Array.isArray(lines) ? (lines as unknown[]) : []), ...verify.notExamined]),
  };
}

interface Outcome {
  ctx: WorkContext;
  claim: ClaimedWipe;
  report: WipeReport;
  withheld: string | null;
  accounts: number;
}

/** Replaces numbers, so that a different process id in a message does not make a new event. */
const withoutNumbers = (reason: string): string => reason.replace(/\d+/g, '0');

/** Records the outcome of a wipe. A node that stays withheld is wiped again and again, which is recorded only once. */
async function recordOutcome(tx: Tx, { ctx, claim: { node }, report, withheld, accounts }: Outcome): Promise<void> {
  if (withheld === null || accounts > 0) {
    await recordEvent(tx, { type: 'node.wiped', actor: ctx.actor, nodeId: node.id, data: { accounts, ...report.wipe.details } });
  }
  if (withheld !== null && withoutNumbers(withheld) !== withoutNumbers(node.withheldReason ?? '')) {
    await recordEvent(tx, { type: 'node.withheld', actor: ctx.actor, nodeId: node.id, data: { reason: withheld.slice(0, 500) } });
    ctx.logger.error('node withheld', { nodeId: node.id, reason: withheld });
  }
}

async function recordFailure(tx: Tx, { ctx, claim, error }: { ctx: WorkContext; claim: ClaimedWipe; error: unknown }): Promise<void> {
  const failures = claim.node.wipeFailures + 1;
  const message = messageOf(error);
  if (!(await failWipe(tx, claim, backoffSeconds(ctx.settings.retry, failures, Math.random())))) {
    return;
  }
  const findings = error instanceof NotCleanError ? error.findings.slice(0, 20) : [];
  await recordEvent(tx, {
    type: 'node.wipe_failed',
    actor: ctx.actor,
    nodeId: claim.node.id,
    data: { failures, message: message.slice(0, 300), findings },
  });
  const failure = error instanceof ProvisioningError ? error.failure : 'failed';
  if (failure === 'host_key_changed' || failures >= ctx.settings.maxWipeFailures) {
    await quarantine(tx, ctx, { nodeId: claim.node.id, reason: `it could not be wiped (${failures} attempts): ${message}` });
  } else if (failure === 'unreachable' || failure === 'deadline') {
    await suspectNode(tx, claim.node.id, message);
  }
}
