import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { rawPublicKey } from '../raw-keys';
import { leafHash } from './hashes';
import { openHead, originOf, parseLogKey, signHead, verifierKeyOf } from './note';

function aKey(): { publicKey: string; sign: (data: Buffer) => string } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const blob = Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), rawPublicKey(publicKey)]);
  return { publicKey: `ssh-ed25519 ${blob.toString('base64')}`, sign: (data) => sign(null, data, privateKey).toString('base64url') };
}

const head = { size: 7, root: leafHash('a'), at: new Date('2026-01-31T10:20:30.456Z') };

describe('a signed head', () => {
  it('R41: is a note with origin, size, root, time and one signature', () => {
    const key = aKey();
    const lines = signHead(head, key).split('\n');
    expect(lines.slice(0, 5)).toEqual([originOf(key.publicKey), '7', head.root.toString('base64'), 'time 2026-01-31T10:20:30.456Z', '']);
    expect(lines[5]).toMatch(/^— orion-audit-[0-9a-f]{16} [A-Za-z0-9+/]{91}=$/);
    expect(lines.slice(6)).toEqual(['']);
  });

  it('R41: is read with the key of its log, and with no other key', () => {
    const key = aKey();
    expect(openHead(signHead(head, key), key.publicKey)).toEqual({ ...head, origin: originOf(key.publicKey) });
    expect(openHead(signHead(head, key), aKey().publicKey)).toBeUndefined();
  });

  it('R41: is not read when a byte of it changed', () => {
    const key = aKey();
    const note = signHead(head, key);
    for (let at = 0; at < note.length - 3; at += 1) {
      const other = `${note.slice(0, at)}${note.charAt(at) === '1' ? '2' : '1'}${note.slice(at + 1)}`;
      expect({ other, head: openHead(other, key.publicKey) }).toEqual({ other, head: undefined });
    }
  });

  it('R41: is read with a further signature of another name', () => {
    const key = aKey();
    expect(openHead(`${signHead(head, key)}— witness.example AAAAAAAA\n`, key.publicKey)).toMatchObject({ size: 7 });
  });
});

describe('the public key of a log', () => {
  it('R41: is read in both forms', () => {
    const { publicKey } = aKey();
    expect(parseLogKey(`${publicKey} a comment\n`)).toBe(publicKey);
    expect(parseLogKey(verifierKeyOf(publicKey))).toBe(publicKey);
  });

  it.each(['', 'ssh-rsa AAAA', 'orion-audit-0+00000000+AAAA'])('R41: is not read from %j', (text) => {
    expect(parseLogKey(text)).toBeUndefined();
  });
});
