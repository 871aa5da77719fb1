import { describe, expect, it } from '@jest/globals';
import { relayKeys } from './relay-keys';

describe('relay keys', () => {
  const keys = relayKeys(['new', 'old']);
  const holder = { id: 'holder', announced: 'at noon' };
  const shown = { holderId: 'holder', nodeId: 7, announcements: ['before noon', 'at noon'] };

  it('a token holds for one node at one holder', () => {
    const token = keys.sign(holder, 7);
    expect(keys.verify(token, shown)).toBe(true);
    expect(keys.verify(token, { ...shown, nodeId: 8 })).toBe(false);
    expect(keys.verify(token, { ...shown, holderId: 'another' })).toBe(false);
    // What is signed has one reading only.
    expect(keys.verify(keys.sign({ ...holder, id: 'holder\n7' }, 1), { ...shown, nodeId: 71 })).toBe(false);
    expect(keys.verify(keys.signUndated('holder\n7', 1), { ...shown, announcements: ['1'] })).toBe(false);
  });

  it('a token ends with the announcement that it names', () => {
    expect(keys.verify(keys.sign(holder, 7), { ...shown, announcements: ['after noon'] })).toBe(false);
    expect(keys.verify(keys.sign(holder, 7), { ...shown, announcements: [] })).toBe(false);
  });

  it('a token of the release before this one is still good, so that both work side by side during an update', () => {
    expect(keys.verify(keys.signUndated('holder', 7), shown)).toBe(true);
    expect(keys.verify(keys.signUndated('holder', 8), shown)).toBe(false);
    expect(keys.verify(keys.signUndated('another', 7), shown)).toBe(false);
  });

  it('anything else is no token', () => {
    const token = keys.sign(holder, 7);
    for (const wrong of ['', 'x', `${token}x`, token.slice(1), token.toUpperCase(), 'ä'.repeat(43)]) {
      expect(keys.verify(wrong, shown)).toBe(false);
    }
  });

  it('the first secret signs, each of them is good, a foreign one is not', () => {
    expect(keys.sign(holder, 7)).toBe(relayKeys(['new']).sign(holder, 7));
    expect(keys.verify(relayKeys(['old']).sign(holder, 7), shown)).toBe(true);
    expect(keys.verify(relayKeys(['foreign']).sign(holder, 7), shown)).toBe(false);
  });
});
