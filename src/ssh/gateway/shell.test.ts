import { describe, expect, it } from '@jest/globals';
import { describe as tell, duration } from './shell';

describe('what a shell is told', () => {
  it.each([
    [-5, '0 s'],
    [0, '0 s'],
    [29.4, '29 s'],
    [30, '1 min'],
    [90, '2 min'],
    [3600, '60 min'],
    [7199, '2 h'],
    [86_400, '24 h'],
  ])('%d seconds are %s', (seconds, words) => {
    expect(duration(seconds)).toBe(words);
  });

  it('where it stands in the order, or that it waits for a machine', () => {
    expect(tell({ state: 'waiting', place: 3, endsInSeconds: 600 }, 0)).toBe('no machine is free: you are number 3 in the order');
    expect(tell({ state: 'waiting', place: null, endsInSeconds: Infinity }, 0)).toBe('waiting for a machine to be ready');
    expect(tell({ state: 'over', why: 'is over' }, 60_000)).toBeUndefined();
  });
});
