import { describe, expect, it } from '@jest/globals';
import { isRelayToken, olderTokens, relayToken } from './relay-tokens';

const holder = { id: 'holder', key: 'a key', announced: 'at noon' };
const shown = { holder, nodeId: 7, announcements: ['before noon', 'at noon'] };

describe('the token for a tunnel at another replica', () => {
  it('holds for one node at one holder with one key', () => {
    const token = relayToken(holder, 7);
    expect(isRelayToken(token, shown)).toBe(true);
    expect(isRelayToken(token, { ...shown, nodeId: 8 })).toBe(false);
    expect(isRelayToken(token, { ...shown, holder: { ...holder, id: 'another' } })).toBe(false);
    expect(isRelayToken(token, { ...shown, holder: { ...holder, key: 'another' } })).toBe(false);
    // The signed text is unambiguous.
    expect(isRelayToken(relayToken({ ...holder, id: 'holder\n7' }, 1), { ...shown, nodeId: 71 })).toBe(false);
  });

  it('ends with the announcement that it names', () => {
    expect(isRelayToken(relayToken(holder, 7), { ...shown, announcements: ['after noon'] })).toBe(false);
    expect(isRelayToken(relayToken(holder, 7), { ...shown, announcements: [] })).toBe(false);
  });

  it('is nothing else', () => {
    const token = relayToken(holder, 7);
    for (const wrong of ['', 'x', `${token}x`, token.slice(1), token.toUpperCase(), 'ä'.repeat(43)]) {
      expect(isRelayToken(wrong, shown)).toBe(false);
    }
  });

  it('cannot be made for a holder of the release before, which has no key', () => {
    expect(() => relayToken({ ...holder, key: null }, 7)).toThrow('older release');
  });
});

describe('the token of the release before', () => {
  const older = olderTokens(['new', 'old']);

  it('is taken, so that both releases work side by side during an update, for one node at one holder', () => {
    expect(older.verify(older.sign('holder', 7), shown)).toBe(true);
    expect(older.verify(older.sign('holder', 8), shown)).toBe(false);
    expect(older.verify(older.sign('another', 7), shown)).toBe(false);
    expect(isRelayToken(older.sign('holder', 7), shown)).toBe(false);
  });

  it('is signed by the first secret, and good with each of them', () => {
    expect(older.sign('holder', 7)).toBe(olderTokens(['new']).sign('holder', 7));
    expect(older.verify(olderTokens(['old']).sign('holder', 7), shown)).toBe(true);
    expect(older.verify(olderTokens(['foreign']).sign('holder', 7), shown)).toBe(false);
  });
});
