import type { Knex } from 'knex';
import { transaction } from '../../db/transaction';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { recordEvent } from '../../modules/audit';
import { holdsLeadership, type LeadershipClaim, type SweepJob } from '../../modules/jobs';
import {
  beginScaling,
  type Decision,
  decideScale,
  endChange,
  type Sampler,
  type ScaleDriver,
  type ScaledService,
  type ScalePolicy,
  type ScaleState,
} from '../../modules/scaling';
import { findQueueLag, type Metrics } from '../../modules/telemetry';
import { failpoint } from '../support/failpoints';

export interface ScaleContext {
  db: Knex;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  driver: ScaleDriver;
  /** The claim of the leader that makes the changes. Undefined: dry run, in which decisions are only logged. */
  lead: LeadershipClaim | undefined;
}

/** A service that the leader scales. */
export interface ScaledTarget {
  service: ScaledService;
  policy: ScalePolicy;
  sampler: Sampler;
  state: ScaleState;
  /** The last decision that was logged. The same decision is not logged again. */
  told: string;
}

/** The context of the job of one service. */
export interface ScaleJobContext extends ScaleContext {
  intervalSeconds: number;
  /** Whether this process is the leader now. */
  leads: () => boolean;
  begin: () => ScaledTarget;
  /** Undefined: there are no earlier samples and changes. */
  target: ScaledTarget | undefined;
}

/**
 * Returns the job that scales a service. A new leader starts without history, because it does not know the samples and changes of the
 * leader before.
 */
export const scaleJob = (service: ScaledService): SweepJob<ScaleJobContext> => ({
  name: `scale-${service}`,
  description: `makes replicas of the role ${service} come and go with the load, on the autoscaler that leads`,
  period: ({ intervalSeconds }) => intervalSeconds,
  sweep: async (ctx) => {
    if (!ctx.leads()) {
      ctx.target = undefined;
      return 'done';
    }
    await scaleService(ctx, (ctx.target ??= ctx.begin()));
    return 'done';
  },
});

export function watchService(
  ctx: Pick<ScaleContext, 'clock'>,
  options: Pick<ScaledTarget, 'service' | 'policy' | 'sampler'>,
): ScaledTarget {
  return { ...options, state: beginScaling(ctx.clock.monotonicMs()), told: '' };
}

/**
 * R31: takes a sample of a service, decides, and applies the decision. The transaction that records the change checks once more that this
 * process is the leader.
 */
export async function scaleService(ctx: ScaleContext, target: ScaledTarget): Promise<void> {
  const { service, policy } = target;
  if (ctx.lead) {
    await tidy(ctx, service);
  }
  const found = await ctx.driver.inspect(service);
  const look = {
    atMs: ctx.clock.monotonicMs(),
    replicas: found.actual,
    obstacle: found.obstacle,
    loadPercent: target.sampler.measure(found),
    lagSeconds: service === 'scheduler' ? await schedulersLag(ctx.db) : undefined,
  };
  const { state, decision } = decideScale(target.state, look, policy);
  target.state = state;
  tell(ctx, target, { decision, actual: found.actual });
  if (decision.to !== found.actual && ctx.lead) {
    await change({ ...ctx, lead: ctx.lead }, target, { from: found.actual, decision });
  }
}

async function tidy({ driver, logger }: ScaleContext, service: ScaledService): Promise<void> {
  const removed = await driver.tidy(service);
  if (removed.length > 0) {
    logger.info('replicas have drained and are removed', { service, removed });
  }
}

/** Returns how late the schedulers are with due probes and placements, in seconds. */
async function schedulersLag(db: Knex): Promise<number> {
  const { probes, placements } = await findQueueLag(db);
  return Math.max(probes, placements);
}

function tell(
  { logger, metrics, lead }: ScaleContext,
  target: ScaledTarget,
  { decision, actual }: { decision: Decision; actual: number },
): void {
  const { service } = target;
  metrics.scaleActual.set({ service }, actual);
  metrics.scaleDesired.set({ service }, decision.wanted);
  if (decision.utilisationPercent !== null) {
    metrics.scaleUtilisation.set({ service }, decision.utilisationPercent / 100);
  }
  const fields = { service, actual, ...decision, utilisationPercent: rounded(decision.utilisationPercent), dryRun: lead === undefined };
  const news = `${decision.reason} ${actual} ${decision.to}`;
  if (lead === undefined || news !== target.told) {
    target.told = news;
    logger[STUCK.has(decision.reason) ? 'warn' : 'info']('decision', fields);
  } else {
    logger.debug('decision', fields);
  }
}

/** Reasons that do not go away by themselves. */
const STUCK = new Set(['no_replica', 'paused', 'foreign']);

const rounded = (value: number | null): number | null => (value === null ? null : Math.round(value * 10) / 10);

async function change(
  ctx: ScaleContext & { lead: LeadershipClaim },
  target: ScaledTarget,
  { from, decision }: { from: number; decision: Decision },
): Promise<void> {
  const { service } = target;
  const { to, reason, utilisationPercent } = decision;
  failpoint('scale.begin');
  const leads = await transaction(ctx.db, async (tx) => {
    if (!(await holdsLeadership(tx, ctx.lead))) {
      return false;
    }
    await recordEvent(tx, {
      type: 'service.scaled',
      actor: 'autoscaler',
      data: { service, from, to, reason, utilisation_percent: rounded(utilisationPercent) },
    });
    failpoint('scale.commit');
    return true;
  });
  if (!leads) {
    ctx.logger.warn('the lead was lost: nothing is changed', { service });
    return;
  }
  failpoint('scale.decided');
  try {
    await ctx.driver.scale(service, { from, to });
    ctx.metrics.scaleChanges.inc({ service, direction: to > from ? 'up' : 'down' });
    ctx.logger.info('scaled', { service, from, to, reason });
  } finally {
    target.state = endChange(target.state, ctx.clock.monotonicMs());
  }
}
