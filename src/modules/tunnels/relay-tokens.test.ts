import { describe, expect, it } from '@jest/globals';
import { isRelayToken, olderTokens, relayToken } from './relay-tokens';

const owner = { id: 'owner', key: 'a key', announced: 'at noon' };
const shown = { owner, nodeId: 7, announcements: ['before noon', 'at noon'] };

describe('the token for a tunnel at another replica', () => {
  it('holds for one node at one owner with one key', () => {
    const token = relayToken(owner, 7);
    expect(isRelayToken(token, shown)).toBe(true);
    expect(isRelayToken(token, { ...shown, nodeId: 8 })).toBe(false);
    expect(isRelayToken(token, { ...shown, owner: { ...owner, id: 'another' } })).toBe(false);
    expect(isRelayToken(token, { ...shown, owner: { ...owner, key: 'another' } })).toBe(false);
    // The signed text is unambiguous.
    expect(isRelayToken(relayToken({ ...owner, id: 'owner\n7' }, 1), { ...shown, nodeId: 71 })).toBe(false);
  });

  it('ends with the announcement that it names', () => {
    expect(isRelayToken(relayToken(owner, 7), { ...shown, announcements: ['after noon'] })).toBe(false);
    expect(isRelayToken(relayToken(owner, 7), { ...shown, announcements: [] })).toBe(false);
  });

  it('is nothing else', () => {
    const token = relayToken(owner, 7);
    for (const wrong of ['', 'x', `${token}x`, token.slice(1), token.toUpperCase(), 'ä'.repeat(43)]) {
      expect(isRelayToken(wrong, shown)).toBe(false);
    }
  });

  it('cannot be made for an owner of the previous release, which has no key', () => {
    expect(() => relayToken({ ...owner, key: null }, 7)).toThrow('older release');
  });
});

describe('the token of the release before', () => {
  const older = olderTokens(['new', 'old']);

  it('is taken, so that both releases work side by side during an update, for one node at one owner', () => {
    expect(older.verify(older.sign('owner', 7), shown)).toBe(true);
    expect(older.verify(older.sign('owner', 8), shown)).toBe(false);
    expect(older.verify(older.sign('another', 7), shown)).toBe(false);
    expect(isRelayToken(older.sign('owner', 7), shown)).toBe(false);
  });

  it('is signed by the first secret, and good with each of them', () => {
    expect(older.sign('owner', 7)).toBe(olderTokens(['new']).sign('owner', 7));
    expect(older.verify(olderTokens(['old']).sign('owner', 7), shown)).toBe(true);
    expect(older.verify(olderTokens(['foreign']).sign('owner', 7), shown)).toBe(false);
  });
});
