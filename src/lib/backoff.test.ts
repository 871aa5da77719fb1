import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backoffSeconds } from './backoff';

describe('backoff', () => {
  it('doubles from the first delay up to the longest', () => {
    const longest = [1, 2, 3, 4, 5, 99].map((attempt) => backoffSeconds({ firstSeconds: 5, maxSeconds: 60 }, attempt, 0.999_999_999));
    expect(longest.map((seconds) => Math.round(seconds))).toEqual([5, 10, 20, 40, 60, 60]);
  });

  it('I9: stays between half and the whole of its ceiling, for any attempt and any chance', () => {
    const seconds = (max: number): fc.Arbitrary<number> => fc.double({ min: 0.01, max, noNaN: true });
    const policy = fc.record({ firstSeconds: seconds(100), maxSeconds: seconds(1e5) });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(policy, fc.integer({ min: -3, max: 1e6 }), chance, (...[{ firstSeconds, maxSeconds }, attempt, random]) => {
        const pause = backoffSeconds({ firstSeconds, maxSeconds }, attempt, random);
        const ceiling = Math.min(maxSeconds, firstSeconds * 2 ** Math.min(Math.max(attempt - 1, 0), 30));
        expect(pause).toBeGreaterThanOrEqual(ceiling / 2);
        expect(pause).toBeLessThanOrEqual(ceiling);
      }),
    );
  });
});
