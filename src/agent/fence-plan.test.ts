import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AccountRecord } from './account-records';
import type { ConfirmedAccount } from './contact';
import { planFence, planHolds, withMonotonicEnds, type FencedAccount, type FenceMoment } from './fence-plan';

const policy = { graceSeconds: 60, heartbeatIntervalSeconds: 10 };
const NOW = 1_800_000_000;
const due: FencedAccount = {
  username: 'orn-a',
  uid: 20_001,
  endsAtSeconds: NOW - 61,
  held: false,
  ended: false,
  endsAtMonotonicMs: 1_000_000 - 61_000,
};
const moment: FenceMoment = { nowSeconds: NOW, monotonicMs: 1_000_000, lastContactMs: 1_000_000 - 61_000 };

describe('planFence', () => {
  it('ends an account whose lease is over while the control plane is silent', () => {
    expect(planFence([due], moment, policy)).toEqual([due]);
  });

  it.each<[string, Partial<FencedAccount>, Partial<FenceMoment>]>([
    ['within the grace after the end', { endsAtSeconds: NOW - 60, endsAtMonotonicMs: 940_000 }, {}],
    ['that was ended already', { ended: true }, {}],
    ['while the control plane is heard', {}, { lastContactMs: 950_000 }],
    ['when the wall clock alone was set forward', { endsAtMonotonicMs: 2_000_000 }, {}],
    ['when the monotonic clock alone is past the end', { endsAtSeconds: NOW + 5 }, {}],
  ])('spares an account %s', (_when, account, at) => {
    expect(planFence([{ ...due, ...account }], { ...moment, ...at }, policy)).toEqual([]);
  });

  it('waits for three missed heartbeats where they take longer than the grace', () => {
    expect(planFence([due], moment, { graceSeconds: 60, heartbeatIntervalSeconds: 30 })).toEqual([]);
  });

  const accounts = fc.array(
    fc.record({
      username: fc.constant('orn-x'),
      uid: fc.integer({ min: 1000, max: 60_000 }),
      endsAtSeconds: fc.integer({ min: NOW - 10_000, max: NOW + 10_000 }),
      held: fc.boolean(),
      ended: fc.boolean(),
      endsAtMonotonicMs: fc.integer({ min: -10_000_000, max: 20_000_000 }),
    }),
  );
  const moments = fc.record({
    nowSeconds: fc.integer({ min: NOW - 20_000, max: NOW + 20_000 }),
    monotonicMs: fc.integer({ min: 0, max: 10_000_000 }),
    lastContactMs: fc.integer({ min: 0, max: 10_000_000 }),
  });
  const policies = fc.record({
    graceSeconds: fc.integer({ min: 0, max: 600 }),
    heartbeatIntervalSeconds: fc.integer({ min: 1, max: 600 }),
  });

  it('never ends an account before its end by either clock, twice, or while the control plane may be in charge', () => {
    fc.assert(
      fc.property(accounts, moments, policies, (all, at, rule) => {
        for (const account of planFence(all, at, rule)) {
          expect(account.ended).toBe(false);
          expect(at.nowSeconds).toBeGreaterThan(account.endsAtSeconds + rule.graceSeconds);
          expect(at.monotonicMs).toBeGreaterThan(account.endsAtMonotonicMs + rule.graceSeconds * 1000);
          expect(at.monotonicMs - at.lastContactMs).toBeGreaterThan(Math.max(rule.graceSeconds, 3 * rule.heartbeatIntervalSeconds) * 1000);
        }
      }),
    );
  });

  it('ends in the course of silence every account, and keeps ending what it would have ended before', () => {
    fc.assert(
      fc.property(accounts, moments, policies, (all, at, rule) => {
        const later = { ...at, nowSeconds: NOW + 100_000, monotonicMs: at.monotonicMs + 100_000_000 };
        expect(planFence(all, later, rule)).toEqual(all.filter((account) => !account.ended));
        const ended = planFence(all, at, rule);
        expect(planFence(all, later, rule)).toEqual(expect.arrayContaining(ended));
      }),
    );
  });
});

describe('planHolds', () => {
  const account: ConfirmedAccount = {
    username: 'orn-a',
    uid: 20_001,
    endsAtSeconds: NOW,
    held: false,
    ended: false,
    unconfirmedSeconds: 16,
    listed: false,
  };
  const none = { hold: [], release: [] };
  const planned = (change: Partial<ConfirmedAccount>, limit = 15): unknown => {
    const { hold, release } = planHolds([{ ...account, ...change }], limit);
    return { hold: hold.map(({ username }) => username), release: release.map(({ username }) => username) };
  };

  it('holds an account that was not confirmed for longer than the limit, and keeps holding it until it is listed', () => {
    expect(planned({})).toEqual({ hold: ['orn-a'], release: [] });
    expect(planned({ held: true })).toEqual({ hold: ['orn-a'], release: [] });
    expect(planned({ held: true, unconfirmedSeconds: 1 })).toEqual({ hold: ['orn-a'], release: [] });
    expect(planned({ held: true, unconfirmedSeconds: 1, listed: true })).toEqual({ hold: [], release: ['orn-a'] });
  });

  it.each<[string, Partial<ConfirmedAccount>, number]>([
    ['within the limit', { unconfirmedSeconds: 15 }, 15],
    ['that was ended', { ended: true, held: true }, 15],
    ['where there is no limit', { unconfirmedSeconds: Infinity }, 0],
  ])('leaves an account alone %s', (_when, change, limit) => {
    expect(planned(change, limit)).toEqual(none);
  });
});

describe('withMonotonicEnds', () => {
  const record: AccountRecord = { username: 'orn-a', uid: 20_001, endsAtSeconds: NOW + 100, held: false, ended: false };

  it('keeps an end that was reckoned before, whatever the wall clock says now', () => {
    const first = withMonotonicEnds([record], [], { nowSeconds: NOW, monotonicMs: 5000 });
    expect(first[0]?.endsAtMonotonicMs).toBe(105_000);
    expect(withMonotonicEnds([record], first, { nowSeconds: NOW + 9999, monotonicMs: 6000 })[0]?.endsAtMonotonicMs).toBe(105_000);
  });

  it('reckons anew when the end was moved, and forgets records that are gone', () => {
    const first = withMonotonicEnds([record], [], { nowSeconds: NOW, monotonicMs: 5000 });
    const moved = withMonotonicEnds([{ ...record, endsAtSeconds: NOW + 200 }], first, { nowSeconds: NOW, monotonicMs: 5000 });
    expect(moved[0]?.endsAtMonotonicMs).toBe(205_000);
    expect(withMonotonicEnds([], first, { nowSeconds: NOW, monotonicMs: 5000 })).toEqual([]);
  });
});
