import { transaction } from '../../db/transaction';
import { recordEvent } from '../../modules/audit';
import { countFleet, lookAround, setBreaker, shouldOpenBreaker, suspectSilentNodes, tick } from '../../modules/nodes';
import type { SweepJob } from '../../modules/jobs';
import type { FlowContext } from '../support/context';

/** Agents that one pass examines. A fleet of 100,000 takes 10 passes; its agents send a heartbeat every 50 s. */
const AGENTS_LOOKED_AT = 10_000;
const SILENT_BATCH = 200;

/** The position of one scheduler in its round of the fleet. */
export interface Round {
  after: number;
}

export const watchJob: SweepJob<FlowContext & { round: Round }> = {
  name: 'watch',
  description: 'records that the control plane is at work, suspects silent nodes, stops migration while most of the fleet fails',
  period: ({ settings }) => settings.jobs.watchSeconds,
  sweep: (ctx) => watchFleet(ctx, ctx.round).then(() => 'done' as const),
};

/**
 * Watches the whole fleet. It records that the control plane is running, and restarts the judgement of health after an outage (I8). It
 * makes nodes with silent agents suspect. It opens the circuit breaker while most of the fleet fails at once.
 */
export async function watchFleet(ctx: FlowContext, round: Round = { after: 0 }): Promise<void> {
  if (await tick(ctx.db, ctx.settings.outageSeconds)) {
    ctx.logger.warn('the control plane was away: health is judged anew', {});
    await recordEvent(ctx.db, { type: 'fleet.judged_anew', actor: ctx.actor });
  }
  await suspectSilent(ctx, round);
  await judgeBreaker(ctx);
}

async function suspectSilent(ctx: FlowContext, round: Round): Promise<void> {
  const { suspected, next } = await transaction(ctx.db, async (tx) => {
    const silence = await suspectSilentNodes(tx, { after: round.after, span: AGENTS_LOOKED_AT, limit: SILENT_BATCH });
    for (const nodeId of silence.suspected) {
      await recordEvent(tx, { type: 'node.suspect', actor: ctx.actor, nodeId, data: { reason: 'its agent is silent' } });
    }
    return silence;
  });
  round.after = next;
  if (suspected.length > 0) {
    ctx.logger.warn('agents are silent', { nodeIds: suspected });
    await lookAround(ctx.db);
  }
}

/**
 * Decides whether most of the fleet fails at once, by the newest probe results, and sets the circuit breaker. It runs before each round of
 * migrations. True: no lease may move (I8).
 */
export async function judgeBreaker(ctx: FlowContext): Promise<boolean> {
  const { intervalSeconds, suspectIntervalSeconds } = ctx.settings.health;
  const fleet = await countFleet(ctx.db, Math.ceil(intervalSeconds + 2 * suspectIntervalSeconds));
  const on = shouldOpenBreaker(fleet);
  const changed = await transaction(ctx.db, async (tx) => {
    const turned = await setBreaker(tx, on);
    if (turned) {
      await recordEvent(tx, { type: on ? 'fleet.brake_on' : 'fleet.brake_off', actor: ctx.actor, data: { ...fleet } });
    }
    return turned;
  });
  if (changed && on) {
    ctx.logger.error('most of the fleet fails at once: migration stands still', { ...fleet });
  } else if (changed) {
    ctx.logger.info('the fleet is back: migration goes on', { ...fleet });
  }
  return on;
}
