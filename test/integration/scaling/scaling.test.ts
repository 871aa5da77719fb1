import type { Knex } from 'knex';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createLeaderElection, leadJob } from '../../../src/flows/support/leader-election';
import { type ScaleContext, type ScaledTarget, scaleService, watchService } from '../../../src/flows/scaling/scale-service';
import { type Clock, systemClock } from '../../../src/lib/clock';
import { newClaimToken } from '../../../src/lib/ids';
import { createLogger, type LogFields, silentLogger } from '../../../src/lib/logger';
import { handBackLeadership, holdsLeadership, type LeadershipClaim, takeLeadership } from '../../../src/modules/jobs';
import type { Obstacle, ScaleDriver, ScaledService, ScalePolicy, ScaleStep } from '../../../src/modules/scaling';
import { createMetrics } from '../../../src/modules/telemetry';
import { aNode } from '../../support/builders';
import { age, rows } from '../../support/database';
import { useForAll, useTestDatabase } from '../../support/hooks';

const database = useTestDatabase({ resetEach: true });
const pools = useForAll((): [Knex, Knex] => [database.db, database.secondPool()]);
beforeEach(() => database.db.raw('UPDATE leaders SET token = NULL, expires_at = UTC_TIMESTAMP(3)'));

const aClaim = (): LeadershipClaim => ({ name: 'autoscaler', token: newClaimToken() });
const expireLeader = (): Promise<void> => age(database.db, 'UPDATE leaders SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND');

describe('the lead', () => {
  it('is had by one of many who ask at once, and kept by it', async () => {
    const claims = Array.from({ length: 20 }, aClaim);
    const take = (): Promise<boolean[]> => Promise.all(claims.map((claim, i) => takeLeadership(pools[i % 2 ? 1 : 0], claim, 30)));
    const first = await take();
    expect(first.filter(Boolean)).toHaveLength(1);
    expect(await take()).toEqual(first);
  });

  it('any autoscaler takes an expired leadership, and the first one has lost it', async () => {
    const [one, other] = [aClaim(), aClaim()];
    expect(await takeLeadership(database.db, one, 30)).toBe(true);
    await expireLeader();
    expect(await holdsLeadership(database.db, one)).toBe(false);
    expect(await takeLeadership(database.db, other, 30)).toBe(true);
    expect([
      await takeLeadership(database.db, one, 30),
      await holdsLeadership(database.db, one),
      await holdsLeadership(database.db, other),
    ]).toEqual([false, false, true]);
  });

  it('is handed back at once, and only by whoever has it', async () => {
    const [one, other] = [aClaim(), aClaim()];
    await takeLeadership(database.db, one, 30);
    await handBackLeadership(database.db, other);
    expect(await takeLeadership(database.db, other, 30)).toBe(false);
    await handBackLeadership(database.db, one);
    expect(await takeLeadership(database.db, other, 30)).toBe(true);
  });

  it('R40: is in the metrics of the one that has it', async () => {
    const electionOf = (): Parameters<typeof leadJob.sweep>[0] => ({
      lead: createLeaderElection({ db: database.db, clock: systemClock, logger: silentLogger }, { name: 'autoscaler', limitSeconds: 15 }),
      metrics: createMetrics(),
    });
    const replicas = [electionOf(), electionOf()];
    for (const replica of replicas) {
      await leadJob.sweep(replica);
    }
    const texts = await Promise.all(replicas.map(({ metrics }) => metrics.registry.metrics()));
    expect(texts.map((text) => /\norion_scale_leads (\d)\n/.exec(text)?.[1])).toEqual(['1', '0']);
  });

  it('is known to be gone without asking when it was not renewed in time', async () => {
    let atMs = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => atMs };
    const lead = createLeaderElection({ db: database.db, clock, logger: silentLogger }, { name: 'autoscaler', limitSeconds: 15 });
    expect([lead.holds(), await lead.keep(), lead.holds()]).toEqual([false, true, true]);
    atMs = 9_999;
    expect(lead.holds()).toBe(true);
    atMs = 10_000;
    expect(lead.holds()).toBe(false);
    expect(lead.intervalMs * 1.2 + 10_000).toBeLessThan(15_000);
  });
});

const policy: ScalePolicy = {
  min: 1,
  max: 4,
  targetPercent: 60,
  tolerancePercent: 10,
  stabilisationSeconds: 0,
  cooldownSeconds: 0,
  smoothingSeconds: 1,
  staleSeconds: 60,
  lagSeconds: 5,
};

/** A fake: replicas that exist by being counted. */
function aService(actual: number, { percent, obstacle = null }: { percent: number; obstacle?: Obstacle | null }) {
  const steps: ScaleStep[] = [];
  const driver: ScaleDriver = {
    inspect: () => Promise.resolve({ actual, replicas: [], obstacle }),
    scale: (_service, step) => {
      steps.push(step);
      return Promise.resolve();
    },
    tidy: () => Promise.resolve([]),
  };
  return { driver, steps, sampler: { measure: () => percent } };
}

interface Scene {
  ctx: ScaleContext;
  target: ScaledTarget;
  steps: ScaleStep[];
  lines: LogFields[];
}

function stage(
  service: ReturnType<typeof aService>,
  { lead, name = 'api' }: { lead: LeadershipClaim | undefined; name?: ScaledService },
): Scene {
  const lines: LogFields[] = [];
  const logger = createLogger('info', (level, message, fields) => void lines.push({ level, message, ...fields }));
  const ctx = { db: database.db, clock: systemClock, logger, metrics: createMetrics(), driver: service.driver, lead };
  return { ctx, target: watchService(ctx, { service: name, policy, sampler: service.sampler }), steps: service.steps, lines };
}

const scaled = (): Promise<{ data: unknown }[]> => rows(database.db, "SELECT data FROM events WHERE type = 'service.scaled'");

describe('R31: scaling a service', () => {
  it('changes it, records that, and counts it', async () => {
    const lead = aClaim();
    await takeLeadership(database.db, lead, 30);
    const { ctx, target, steps } = stage(aService(1, { percent: 100 }), { lead });
    await scaleService(ctx, target);
    expect(steps).toEqual([{ from: 1, to: 2 }]);
    const [event] = await scaled();
    expect(typeof event?.data === 'string' ? JSON.parse(event.data) : event?.data).toEqual({
      service: 'api',
      from: 1,
      to: 2,
      reason: 'load',
      utilisation_percent: 100,
    });
    const text = await ctx.metrics.registry.metrics();
    expect(text).toContain('orion_scale_desired_replicas{service="api"} 2');
    expect(text).toContain('orion_scale_actual_replicas{service="api"} 1');
    expect(text).toContain('orion_scale_utilisation_ratio{service="api"} 1');
    expect(text).toContain('orion_scale_changes_total{service="api",direction="up"} 1');
  });

  it('whoever lost the lead meanwhile changes nothing', async () => {
    const lead = aClaim();
    await takeLeadership(database.db, lead, 30);
    await expireLeader();
    const { ctx, target, steps, lines } = stage(aService(1, { percent: 100 }), { lead });
    await scaleService(ctx, target);
    expect([steps, await scaled()]).toEqual([[], []]);
    expect(lines.map(({ message }) => message)).toContain('the lead was lost: nothing is changed');
  });

  it('a dry run tells each decision and changes nothing', async () => {
    const { ctx, target, steps, lines } = stage(aService(1, { percent: 100 }), { lead: undefined });
    await scaleService(ctx, target);
    await scaleService(ctx, target);
    expect([steps, await scaled()]).toEqual([[], []]);
    expect(lines.filter(({ message, to, dryRun }) => message === 'decision' && to === 2 && dryRun === true)).toHaveLength(2);
  });

  it('a decision is told once until it is another one, and as a warning when it does not pass by itself', async () => {
    const lead = aClaim();
    await takeLeadership(database.db, lead, 30);
    const { ctx, target, lines } = stage(aService(1, { percent: 30, obstacle: 'paused' }), { lead });
    await scaleService(ctx, target);
    await scaleService(ctx, target);
    expect(lines).toEqual([expect.objectContaining({ level: 'warn', message: 'decision', service: 'api', reason: 'paused' })]);
  });

  it('schedulers get one more while probes are late and do not catch up', async () => {
    const lead = aClaim();
    await takeLeadership(database.db, lead, 30);
    const { id } = await aNode(database.db);
    await age(database.db, 'UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3) - INTERVAL 20 SECOND WHERE id = ?', [id]);
    const { ctx, target, steps } = stage(aService(1, { percent: 5 }), { lead, name: 'scheduler' });
    await scaleService(ctx, target);
    expect(steps).toEqual([]);
    await scaleService(ctx, target);
    expect(steps).toEqual([{ from: 1, to: 2 }]);
  });
});
