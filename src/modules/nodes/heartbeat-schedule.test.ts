import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { nextInterval, type Intervals } from './heartbeat-schedule';

const usual: Intervals = { intervalSeconds: 5, idleSeconds: 60, fleetSeconds: 0.5 };
const seconds = fc.double({ min: 0.1, max: 3600, noNaN: true });
const schedule = fc.record({ intervalSeconds: seconds, idleSeconds: seconds, fleetSeconds: seconds });

describe('how often an agent is to call', () => {
  it('less and less often while its node is idle, and as often as ever at once when it is not', () => {
    const told = [5];
    while (told.length < 7) {
      told.push(nextInterval(usual, { idle: true, keptSeconds: told.at(-1), news: false }));
    }
    expect(told).toEqual([5, 10, 20, 40, 60, 60, 60]);
    expect(nextInterval(usual, { idle: true, keptSeconds: 20, news: true })).toBe(20);
    expect(nextInterval(usual, { idle: false, keptSeconds: 60, news: false })).toBe(5);
  });

  it('never more seldom than usual with accounts, or from an agent that would not notice one; and idle ones never more often than the fleet is to', () => {
    const state = fc.record({ idle: fc.boolean(), keptSeconds: fc.option(seconds, { nil: undefined }), news: fc.boolean() });
    fc.assert(
      fc.property(schedule, state, (at, { idle, keptSeconds, news }) => {
        const told = nextInterval(at, { idle, keptSeconds, news });
        if (!idle || keptSeconds === undefined) {
          expect(told).toBe(at.intervalSeconds);
        } else {
          expect(told).toBeGreaterThanOrEqual(Math.max(at.intervalSeconds, at.fleetSeconds));
          expect(told).toBeLessThanOrEqual(Math.max(at.intervalSeconds, at.fleetSeconds, at.idleSeconds));
        }
      }),
    );
  });
});
