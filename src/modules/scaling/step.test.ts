import { describe, expect, it } from '@jest/globals';
import { problemWithStep } from './step';

const bounds = { min: 2, max: 5 };

describe('a step of a service with 2 to 5 replicas', () => {
  it.each([
    ['one more', 2, 3],
    ['twice as many', 2, 4],
    ['up to the maximum', 3, 5],
    ['one less', 3, 2],
    ['down towards the maximum', 9, 8],
    ['up towards the minimum', 1, 2],
  ])('is allowed: %s', (_what, from, to) => {
    expect(problemWithStep('api', { from, to }, bounds)).toBeNull();
  });

  it.each([
    ['to the same number', 3, 3, 'changes nothing'],
    ['two less', 5, 3, 'one replica at a time'],
    ['below the minimum', 2, 1, 'fewer than ORION_SCALE_API_MIN of the scale driver, 2'],
    ['to nothing', 1, 0, 'fewer than ORION_SCALE_API_MIN'],
    ['below nothing', 0, -1, 'fewer than ORION_SCALE_API_MIN'],
    ['more than twice as many', 2, 5, 'at most doubles'],
    ['from nothing', 0, 1, 'at most doubles'],
    ['above the maximum', 5, 6, 'more than ORION_SCALE_API_MAX of the scale driver, 5'],
  ])('is refused: %s', (...[, from, to, reason]) => {
    expect(problemWithStep('api', { from, to }, bounds)).toContain(reason);
  });
});
