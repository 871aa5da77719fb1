import { describe, expect, it } from '@jest/globals';
import { relayKeys } from './relay-keys';

describe('relay keys', () => {
  const keys = relayKeys(['new', 'old']);

  it('a token holds for one node at one holder', () => {
    const token = keys.sign('holder', 7);
    expect(keys.verify(token, 'holder', 7)).toBe(true);
    expect(keys.verify(token, 'holder', 8)).toBe(false);
    expect(keys.verify(token, 'another', 7)).toBe(false);
    // What is signed has one reading only.
    expect(keys.verify(keys.sign('holder\n7', 1), 'holder', 71)).toBe(false);
  });

  it('anything else is no token', () => {
    const token = keys.sign('holder', 7);
    for (const wrong of ['', 'x', `${token}x`, token.slice(1), token.toUpperCase(), 'ä'.repeat(43)]) {
      expect(keys.verify(wrong, 'holder', 7)).toBe(false);
    }
  });

  it('the first secret signs, each of them is good, a foreign one is not', () => {
    expect(keys.sign('holder', 7)).toBe(relayKeys(['new']).sign('holder', 7));
    expect(keys.verify(relayKeys(['old']).sign('holder', 7), 'holder', 7)).toBe(true);
    expect(keys.verify(relayKeys(['foreign']).sign('holder', 7), 'holder', 7)).toBe(false);
  });
});
