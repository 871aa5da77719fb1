import { describe, expect, it } from '@jest/globals';
import { changesOf, simulate } from '../../../test/support/simulated-service';
import { judgeLag, lagFloor, type LagState, NO_LAG } from './lag';
import { beginScaling, decideScale, endChange, type Look, type ScalePolicy, type ScaleState } from './policy';
import { smooth } from './smooth';
import type { Obstacle } from './types';

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
const look = (second: number, fields: Partial<Look> = {}): Look => ({
  atMs: second * 1000,
  replicas: 1,
  obstacle: null,
  loadPercent: 50,
  lagSeconds: undefined,
  ...fields,
});

/** Returns the decision at the last of these samples. They are 5 s apart, and the first is at 20 s. */
function after(looks: Partial<Look>[], begin: ScaleState = beginScaling(0), by: ScalePolicy = policy) {
  let state = begin;
  let decision;
  for (const [i, fields] of looks.entries()) {
    ({ state, decision } = decideScale(state, look(20 + 5 * i, fields), by));
  }
  return { state, decision };
}

const times = <T>(n: number, fields: T): T[] => Array.from({ length: n }, () => fields);

describe('the number of replicas', () => {
  it('goes up at once when the load is above the band, as far as the load asks', () => {
    expect(after([{ loadPercent: 100 }]).decision).toMatchObject({ to: 2, wanted: 2, reason: 'load' });
    expect(after([{ replicas: 2, loadPercent: 200 }]).decision).toMatchObject({ to: 4, wanted: 4 });
  });

  it('at most doubles, and stays within the maximum', () => {
    expect(after([{ loadPercent: 100 }], beginScaling(0), { ...policy, targetPercent: 10, max: 50 }).decision).toMatchObject({
      to: 2,
      wanted: 10,
    });
    expect(after([{ replicas: 4, loadPercent: 400 }]).decision).toMatchObject({ to: 4, reason: 'at_max' });
  });

  it.each([66, 60, 54])('stays at two at %i % of the target and its band', (percent) => {
    expect(after(times(40, { replicas: 2, loadPercent: 2 * percent })).decision).toMatchObject({ to: 2, reason: 'steady' });
  });

  it('goes down one at a time, and only when nothing in the whole window wanted it', () => {
    const idle = { replicas: 4, loadPercent: 8 };
    expect(after(times(12, idle)).decision).toMatchObject({ to: 4, wanted: 1, reason: 'stabilising' });
    expect(after(times(13, idle)).decision).toMatchObject({ to: 3, reason: 'idle' });
    const peak = after([...times(5, idle), { replicas: 4, loadPercent: 400 }, ...times(8, idle)]);
    expect(peak.decision).toMatchObject({ to: 4, reason: 'stabilising' });
  });

  it('waits for the cool-down after a change, and whoever begins waits too', () => {
    const begun = beginScaling(19_000);
    expect(after([{ loadPercent: 100 }], begun).decision).toMatchObject({ to: 1, wanted: 2, reason: 'cooling_down' });
    expect(after(times(4, { loadPercent: 100 }), begun).decision).toMatchObject({ to: 2 });
    const { state } = after([{ loadPercent: 100 }]);
    expect(decideScale(endChange(state, 21_000), look(30, { replicas: 2, loadPercent: 200 }), policy).decision).toMatchObject({
      to: 2,
      reason: 'cooling_down',
    });
  });

  it('comes back into its bounds', () => {
    expect(after([{ loadPercent: 5 }], beginScaling(0), { ...policy, min: 2 }).decision).toMatchObject({ to: 2, reason: 'below_min' });
    expect(after(times(13, { replicas: 7, loadPercent: 400 })).decision).toMatchObject({ to: 6, reason: 'above_max' });
  });

  it('is left alone while a sample is missing', () => {
    expect(
      after([
        { loadPercent: 400, replicas: 2 },
        { loadPercent: null, replicas: 2 },
      ]).decision,
    ).toMatchObject({ to: 2, reason: 'sample_missing' });
  });

  it.each<Obstacle>(['no_replica', 'starting', 'draining', 'updating', 'paused', 'foreign'])(
    'is left alone while there is something in the way: %s',
    (obstacle) => {
      expect(after([{ loadPercent: 200, replicas: 2, obstacle }]).decision).toMatchObject({ to: 2, reason: obstacle });
    },
  );

  it('cools down from when a replica has come or gone, and not from when it was told to', () => {
    const { state } = after([{ loadPercent: 100 }, { replicas: 2, obstacle: 'starting' }, { replicas: 2, obstacle: 'starting' }]);
    expect(decideScale(state, look(40, { replicas: 2, loadPercent: 200 }), policy).decision.reason).toBe('cooling_down');
    expect(decideScale(state, look(46, { replicas: 2, loadPercent: 200 }), policy).decision.to).toBe(4);
  });

  it('what was seen before a gap is no evidence', () => {
    const { state } = after(times(13, { replicas: 2, loadPercent: 5 }));
    const { decision } = decideScale(state, look(200, { replicas: 2, loadPercent: 5 }), policy);
    expect(decision).toMatchObject({ to: 2, reason: 'stabilising' });
  });
});

describe('schedulers', () => {
  const late = (seconds: number[]): Partial<Look>[] => seconds.map((lagSeconds) => ({ loadPercent: 10, lagSeconds }));

  it('get one more when the queues are late and do not catch up', () => {
    expect(after(late([0, 3, 8])).decision).toMatchObject({ to: 2, reason: 'lag' });
    expect(after(late([8])).decision).toMatchObject({ to: 1 });
    expect(after(late([30, 25, 18, 9])).decision).toMatchObject({ to: 1 });
    expect(after(late([0, 3, 4, 5])).decision).toMatchObject({ to: 1 });
  });

  it('keep it for a while, twice as long each time the lateness comes back', () => {
    const rules = { lagSeconds: 5, holdSeconds: 60 };
    const judge = (state: LagState, second: number, seconds: number): LagState =>
      judgeLag(state, { seconds, replicas: 1, atMs: second * 1000 }, rules);
    const first = judge(judge(NO_LAG, 0, 9), 10, 9);
    expect([lagFloor(first, 69_000), lagFloor(first, 70_000)]).toEqual([2, 0]);
    const second = judge(judge(first, 170, 0), 175, 9);
    expect(second).toMatchObject({ holdSeconds: 120, holdUntilMs: 295_000 });
    expect(judge(second, 180, 9)).toMatchObject({ holdSeconds: 120, holdUntilMs: 300_000 });
    expect(judge(second, 295 + 1200, 9)).toMatchObject({ holdSeconds: 60 });
  });

  it('that wait for machines and burn no CPU: the trials with one less die out', () => {
    let lag = 0;
    const queue = {
      step: ({ seconds, replicas }: { seconds: number; replicas: number }) =>
        (lag = replicas >= 3 ? Math.max(0, lag - 2 * seconds) : lag + 0.3 * seconds),
    };
    const day = 86_400;
    const moments = simulate({ policy, replicas: 1, loadAt: () => 6, queue, intervalSeconds: 5, startSeconds: 10, seconds: 2 * day });
    const changes = changesOf(moments);
    expect(changes.filter(({ second }) => second > day).length).toBeLessThanOrEqual(2);
    expect(changes.length).toBeLessThan(40);
  });
});

describe('smoothing', () => {
  it('gives a new value half of the weight after a half-life, whatever the steps', () => {
    const start = { value: 0, atMs: 0 };
    expect(smooth(null, { value: 7, atMs: 5 }, 5)).toEqual({ value: 7, atMs: 5 });
    expect(smooth(start, { value: 100, atMs: 5000 }, 5).value).toBeCloseTo(50);
    expect(smooth(smooth(start, { value: 100, atMs: 2000 }, 5), { value: 100, atMs: 5000 }, 5).value).toBeCloseTo(50);
  });
});
