import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { changesOf, simulate } from '../../../test/support/simulated-service';
import type { ScalePolicy } from './policy';

const policies: fc.Arbitrary<ScalePolicy> = fc
  .record({
    min: fc.integer({ min: 1, max: 4 }),
    span: fc.nat(8),
    targetPercent: fc.integer({ min: 20, max: 80 }),
    tolerancePercent: fc.integer({ min: 5, max: 25 }),
    stabilisationSeconds: fc.integer({ min: 0, max: 120 }),
    cooldownSeconds: fc.integer({ min: 0, max: 30 }),
    smoothingSeconds: fc.integer({ min: 1, max: 10 }),
  })
  .map(({ min, span, ...rest }) => ({ ...rest, min, max: min + span, staleSeconds: 15, lagSeconds: 5 }));
const loads = fc.double({ min: 0, max: 800, noNaN: true });
const services = fc.record({ replicas: fc.integer({ min: 1, max: 14 }), startSeconds: fc.integer({ min: 0, max: 30 }) });
const INTERVAL = 5;

/** The most seconds that one change may take: sampling, smoothing, start, stabilisation window and cool-down. */
const changeSeconds = (policy: ScalePolicy, startSeconds: number): number =>
  startSeconds + policy.stabilisationSeconds + policy.cooldownSeconds + 8 * policy.smoothingSeconds + 10 * INTERVAL;

describe('under a constant load', () => {
  it('the number of replicas settles, and then never changes again', () => {
    fc.assert(
      fc.property(policies, loads, services, (policy, load, service) => {
        const settled = 15 * changeSeconds(policy, service.startSeconds);
        const moments = simulate({ policy, ...service, loadAt: () => load, intervalSeconds: INTERVAL, seconds: settled + 1800 });
        expect(changesOf(moments).filter(({ second }) => second > settled)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it('it goes one way only: no change is ever taken back', () => {
    fc.assert(
      fc.property(policies, loads, services, (policy, load, service) => {
        const moments = simulate({ policy, ...service, loadAt: () => load, intervalSeconds: INTERVAL, seconds: 3600 });
        expect(new Set(changesOf(moments).map(({ replicas, decision }) => Math.sign(decision.to - replicas))).size).toBeLessThan(2);
      }),
      { numRuns: 50 },
    );
  });

  it('noise of less than a third of the band changes nothing about that', () => {
    fc.assert(
      fc.property(
        policies,
        loads,
        services,
        fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
        (...[policy, load, service, noise]) => {
          const width = policy.tolerancePercent / 100 / 3;
          const loadAt = (): number => load * (1 + width * (noise.next().value as number));
          const settled = 15 * changeSeconds(policy, service.startSeconds);
          const changes = changesOf(simulate({ policy, ...service, loadAt, intervalSeconds: INTERVAL, seconds: settled + 1800 })).filter(
            ({ second }) => second > settled,
          );
          expect(changes.length).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('it settles where the utilisation is within the band, or at a bound', () => {
    fc.assert(
      fc.property(policies, loads, services, (policy, load, service) => {
        const { replicas } = simulate({
          policy,
          ...service,
          loadAt: () => load,
          intervalSeconds: INTERVAL,
          seconds: 15 * changeSeconds(policy, service.startSeconds),
        }).at(-1) ?? { replicas: NaN };
        const band = policy.tolerancePercent / 100;
        const exact = 1e-6;
        expect(replicas === policy.max || load <= replicas * policy.targetPercent * (1 + band) + exact).toBe(true);
        expect(replicas === policy.min || load >= (replicas - 1) * policy.targetPercent * (1 - band) - exact).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

describe('under any load', () => {
  const samples = fc.array(fc.oneof(loads, fc.constant(0), fc.constant(800)), { minLength: 20, maxLength: 200 });

  it('the number is never taken out of its bounds, at most doubles, and goes down by one', () => {
    fc.assert(
      fc.property(policies, samples, services, (policy, load, service) => {
        const moments = simulate({
          policy,
          ...service,
          loadAt: (second) => load[Math.floor(second / INTERVAL) % load.length] ?? 0,
          intervalSeconds: INTERVAL,
          seconds: 1500,
        });
        for (const {
          replicas,
          decision: { to },
        } of changesOf(moments)) {
          expect(to > replicas ? to <= Math.min(policy.max, 2 * replicas) : to === replicas - 1 && to >= policy.min).toBe(true);
        }
      }),
    );
  });

  it('two changes are never closer than the cool-down', () => {
    fc.assert(
      fc.property(policies, samples, services, (policy, load, service) => {
        const moments = simulate({
          policy,
          ...service,
          loadAt: (second) => load[Math.floor(second / INTERVAL) % load.length] ?? 0,
          intervalSeconds: INTERVAL,
          seconds: 1500,
        });
        changesOf(moments).forEach(({ second }, i, all) => {
          expect(second - (all[i - 1]?.second ?? -Infinity)).toBeGreaterThanOrEqual(policy.cooldownSeconds);
        });
      }),
    );
  });
});

describe('a step of the load', () => {
  it('is answered by all the replicas that it needs, within a bounded number of samples', () => {
    fc.assert(
      fc.property(
        policies,
        fc.double({ min: 0, max: 50, noNaN: true }),
        loads,
        fc.integer({ min: 0, max: 30 }),
        (...[policy, before, after, startSeconds]) => {
          const at = 600;
          // Minus a thousandth. After eight of its time constants, the smoothing still lacks e^-8 of a step, and a load may be just past
          // the band.
          const needed = Math.min(
            policy.max,
            Math.max(policy.min, Math.ceil(after / (policy.targetPercent * (1 + policy.tolerancePercent / 100)) - 1e-3)),
          );
          // Each change at most doubles the replicas. Before each come smoothing, cool-down, start, and a first sample without a reading.
          const doublings = Math.ceil(Math.log2(needed / policy.min)) + 1;
          const perChange = Math.ceil((startSeconds + policy.cooldownSeconds + 8 * policy.smoothingSeconds) / INTERVAL) + 3;
          const moments = simulate({
            policy,
            replicas: policy.min,
            startSeconds,
            loadAt: (second) => (second < at ? before : after),
            intervalSeconds: INTERVAL,
            seconds: at + (doublings + 2) * perChange * INTERVAL,
          });
          expect(moments.at(-1)?.replicas).toBeGreaterThanOrEqual(needed);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('with the default settings a second replica is asked for within 15 s', () => {
    const policy: ScalePolicy = {
      min: 1,
      max: 4,
      targetPercent: 60,
      tolerancePercent: 10,
      stabilisationSeconds: 60,
      cooldownSeconds: 15,
      smoothingSeconds: 5,
      staleSeconds: 15,
      lagSeconds: 5,
    };
    const moments = simulate({
      policy,
      replicas: 1,
      startSeconds: 5,
      loadAt: (second) => (second < 300 ? 2 : 150),
      intervalSeconds: INTERVAL,
      seconds: 400,
    });
    expect(changesOf(moments)[0]?.second).toBeLessThanOrEqual(315);
    expect(moments.at(-1)?.replicas).toBe(3);
  });
});
