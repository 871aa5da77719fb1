import { describe, expect, it } from '@jest/globals';
import { aLogKey } from '../../../test/support/log-key';
import { leafHash } from './hashes';
import { openHead, originOf, parseLogKey, signHead, verifierKeyOf } from './note';

const head = { size: 7, root: leafHash('a'), at: new Date('2026-01-31T10:20:30.456Z') };

describe('a signed head', () => {
  it('R41: is a note with origin, size, root, time and one signature', () => {
    const key = aLogKey();
    const lines = signHead(head, key).split('\n');
    expect(lines.slice(0, 5)).toEqual([originOf(key.publicKey), '7', head.root.toString('base64'), 'time 2026-01-31T10:20:30.456Z', '']);
    expect(lines[5]).toMatch(/^— orion-audit-[0-9a-f]{16} [A-Za-z0-9+/]{91}=$/);
    expect(lines.slice(6)).toEqual(['']);
  });

  it('R41: is read with the key of its log, and with no other key', () => {
    const key = aLogKey();
    expect(openHead(signHead(head, key), key.publicKey)).toEqual({ ...head, origin: originOf(key.publicKey) });
    expect(openHead(signHead(head, key), aLogKey().publicKey)).toBeUndefined();
  });

  it('R41: is not read when a byte of it changed', () => {
    const key = aLogKey();
    const note = signHead(head, key);
    for (let at = 0; at < note.length - 3; at += 1) {
      const other = `${note.slice(0, at)}${note.charAt(at) === '1' ? '2' : '1'}${note.slice(at + 1)}`;
      expect({ other, head: openHead(other, key.publicKey) }).toEqual({ other, head: undefined });
    }
  });

  it('R41: is read with a further signature of another name', () => {
    const key = aLogKey();
    expect(openHead(`${signHead(head, key)}— witness.example AAAAAAAA\n`, key.publicKey)).toMatchObject({ size: 7 });
  });
});

describe('the public key of a log', () => {
  it('R41: is read in both forms', () => {
    const { publicKey } = aLogKey();
    expect(parseLogKey(`${publicKey} a comment\n`)).toBe(publicKey);
    expect(parseLogKey(verifierKeyOf(publicKey))).toBe(publicKey);
  });

  it.each(['', 'ssh-rsa AAAA', 'orion-audit-0+00000000+AAAA'])('R41: is not read from %j', (text) => {
    expect(parseLogKey(text)).toBeUndefined();
  });
});
