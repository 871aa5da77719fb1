import { type Tx, transaction } from '../../db/transaction';
import { traced } from '../../lib/trace';
import { recordEvent } from '../../modules/audit';
import { claimed, type QueueJob } from '../../modules/jobs';
import { lockLease, resumePlacement, stopWaiting } from '../../modules/leases';
import {
  type ClaimedProbe,
  claimDueProbes,
  findOccupant,
  judgeProbe,
  lockProbedNode,
  lookAround,
  lookForReturns,
  type ProbedNode,
  PROBES,
  completeAliveProbe,
  type Decision,
  writeDecision,
} from '../../modules/nodes';
import type { Prober } from '../../ssh';
import type { FlowContext } from '../support/context';
import { type ProbedWay, probeSomeWay } from './find-way';
import { abandonNode } from '../nodes/quarantine-node';

export interface ProbeContext extends FlowContext {
  prober: Prober;
}

const PERIOD_SECONDS = 0.25;

export const probeJob: QueueJob<ProbeContext & { onDeath: () => void }, ClaimedProbe> = {
  name: 'probe',
  description: 'logs in to nodes whose probe is due and judges their health',
  period: () => PERIOD_SECONDS,
  concurrency: ({ settings }) => settings.jobs.probesAtOnce,
  queue: PROBES,
  claim: (ctx, room) => claimProbes(ctx, room).then(claimed),
  run: async (ctx, claim) => {
    if (await probeNode(ctx, claim)) {
      ctx.onDeath();
    }
  },
};

export function claimProbes(ctx: ProbeContext, limit: number): Promise<ClaimedProbe[]> {
  return transaction(ctx.db, (tx) => claimDueProbes(tx, limit, ctx.settings.claimSeconds));
}

/** R20: probes a claimed node over SSH and updates its health status. True: the node just died, and its lease must move. */
export const probeNode = traced('probe-node', async (ctx: ProbeContext, claim: ClaimedProbe): Promise<boolean> => {
  const result = await probeSomeWay(ctx.prober, claim);
  ctx.metrics.probes.inc({ outcome: result.outcome });
  ctx.metrics.probeSeconds.observe(result.durationMs / 1000);
  ctx.metrics.probeLagSeconds.observe(Math.max(0, claim.lagSeconds));
  if (
    result.outcome === 'ok' &&
    (await completeAliveProbe(ctx.db, claim, { ...result, nextProbeSeconds: ctx.settings.health.intervalSeconds }))
  ) {
    return false;
  }
  const decision = await writeOutcome(ctx, claim, result);
  if (decision?.status === 'suspect') {
    await lookAround(ctx.db);
  }
  if (decision?.returned) {
    await lookForReturns(ctx.db);
  }
  return decision?.died ?? false;
});

/**
 * Writes the outcome of a probe. Locks first the lease and then the node, as all code that locks both does. Undefined: the claim was lost,
 * or the node's lease changed meanwhile.
 */
async function writeOutcome(ctx: ProbeContext, claim: ClaimedProbe, result: ProbedWay): Promise<Decision | undefined> {
  return transaction(ctx.db, async (tx) => {
    const occupant = await findOccupant(tx, claim.nodeId);
    if (occupant !== null) {
      await lockLease(tx, occupant);
    }
    const node = await lockProbedNode(tx, claim);
    if (!node || node.leaseId !== occupant) {
      return undefined;
    }
    const decision = judgeProbe(node, result.outcome, { now: node.now, judgedSince: node.judgedSince, policy: ctx.settings.health });
    await writeDecision(tx, claim.nodeId, {
      ...decision,
      reach: result.reach,
      directFailed: result.directFailed,
      reason: result.reason?.slice(0, 500) ?? null,
    });
    await follow(tx, ctx, { claim, node, decision, reason: result.reason });
    return decision;
  });
}

interface Judged {
  claim: ClaimedProbe;
  node: ProbedNode;
  decision: Decision;
  reason: string | null;
}

/** Applies a change of health to the lease on the node and records the events. */
async function follow(tx: Tx, ctx: ProbeContext, { claim: { nodeId }, node, decision, reason }: Judged): Promise<void> {
  if (decision.status === node.status) {
    return;
  }
  ctx.logger.info('node judged', { nodeId, before: node.status, after: decision.status, failures: decision.failures, reason });
  if (decision.status !== 'unknown') {
    await recordEvent(tx, { type: `node.${decision.status}`, actor: ctx.actor, nodeId, data: { before: node.status, reason } });
  }
  if (decision.died) {
    ctx.metrics.deaths.inc();
  }
  if (decision.died || decision.status === 'quarantined') {
    await abandonNode(tx, { id: nodeId, leaseId: node.leaseId, actor: ctx.actor, cause: decision.died ? 'death' : 'quarantine' });
  }
  if (decision.returned && node.leaseId !== null) {
    await resumeLease(tx, ctx, { nodeId, leaseId: node.leaseId });
  }
}

/** Stops the migration of a lease whose node came back before the move. A scheduler then makes sure that the account is present there. */
async function resumeLease(tx: Tx, ctx: ProbeContext, { nodeId, leaseId }: { nodeId: number; leaseId: number }): Promise<void> {
  const lease = await lockLease(tx, leaseId);
  if (!lease || (lease.state !== 'migrating' && lease.state !== 'active')) {
    return;
  }
  await stopWaiting(tx, leaseId);
  await resumePlacement(tx, leaseId);
  await recordEvent(tx, { type: 'lease.resumed', actor: ctx.actor, leaseId, nodeId, userId: lease.userId });
}
