import { describe, expect, it } from '@jest/globals';
import { expiryOf, withExpiry } from './passwd-editor';
import { isAwake } from './processes';

describe('awake', () => {
  it.each([
    ['R (running)', true],
    ['S (sleeping)', true],
    ['T (stopped)', false],
    ['t (tracing stop)', false],
    ['D (disk sleep)', false],
    ['Z (zombie)', false],
    ['X (dead)', false],
  ])('is %s: %s', (state, awake) => {
    expect(isAwake(`Name:\tsh\nState:\t${state}\nTgid:\t1\n`)).toBe(awake);
  });
});

describe('the day with which an account expires', () => {
  const shadow = 'root:*:1:0:99999:7:::\norn-a:*:1:0:99999:7::20780:\norn-ab:*:1:0:99999:7:::\n';

  it('is read and set for one account alone', () => {
    expect([expiryOf(shadow, 'orn-a'), expiryOf(shadow, 'orn-ab'), expiryOf(shadow, 'orn')]).toEqual(['20780', '', undefined]);
    expect(withExpiry(shadow, 'orn-a', '1')).toBe(shadow.replace('20780', '1'));
    expect(withExpiry(shadow, 'orn', '1')).toBe(shadow);
  });
});
