import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isSignedBySshKey } from './ssh-signature';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'orion-sshsig-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const message = Buffer.from('what a machine registers with');
const makeKey = (name: string, ...options: string[]): string => {
  execFileSync('ssh-keygen', ['-q', '-N', '', '-f', join(dir, name), ...options]);
  return readFileSync(join(dir, `${name}.pub`), 'utf8')
    .split(' ')
    .slice(0, 2)
    .join(' ');
};
const sign = (name: string, namespace = 'orion-register', text = message): string =>
  execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-f', join(dir, name), '-n', namespace], {
    input: text,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
    .toString()
    .replace(/-----[^-]+-----|\s/g, '');
const isGood = (publicKey: string, signature: string): boolean =>
  isSignedBySshKey(publicKey, { namespace: 'orion-register', message, signature });

describe('a signature of ssh-keygen', () => {
  it.each([
    ['ed25519', []],
    ['ecdsa', ['-b', '256']],
    ['ecdsa', ['-b', '384']],
    ['ecdsa', ['-b', '521']],
    ['rsa', ['-b', '2048']],
  ] as const)('by %s %j is good for its key, message and namespace, and for no other', (type, options) => {
    const name = [type, ...options].join('');
    const publicKey = makeKey(name, '-t', type, ...options);
    const other = makeKey(`${name}-other`, '-t', type, ...options);
    // The numbers of an ECDSA signature are sometimes shorter.
    for (let round = 0; round < (type === 'ecdsa' ? 20 : 1); round += 1) {
      expect(isGood(publicKey, sign(name))).toBe(true);
    }
    expect(isGood(other, sign(name))).toBe(false);
    expect(isGood(publicKey, sign(name, 'file'))).toBe(false);
    expect(isGood(publicKey, sign(name, 'orion-register', Buffer.from('another')))).toBe(false);
  });

  it('is not to be found in garbage, or in a part of one', () => {
    const publicKey = makeKey('whole', '-t', 'ed25519');
    const signature = sign('whole');
    for (const bad of [
      '',
      'AAAA',
      signature.slice(0, 40),
      signature.slice(0, -8),
      `AAAA${signature}`,
      Buffer.alloc(500).toString('base64'),
    ]) {
      expect(isGood(publicKey, bad)).toBe(false);
    }
    expect(isGood('ssh-ed25519 AAAA', signature)).toBe(false);
  });
});
