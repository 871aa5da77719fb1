import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anSshKey, everyKeyType, rsaModulus, sshKeyLine } from '../../../test/support/keys';
import { OrionError } from '../../lib/errors';
import { parseSshPublicKey } from './ssh-public-key';

const parses = (text: string): boolean => {
  try {
    const { line } = parseSshPublicKey(text);
    expect(line).toMatch(/^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}$/);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(OrionError);
    expect((error as OrionError).code).toBe('invalid_request');
    return false;
  }
};

const key = anSshKey();
const [type = '', encoded = ''] = key.split(' ');

describe('a public key', () => {
  it.each(everyKeyType().map((line) => [line.replace(/ .*/, ''), line] as const))('R17: of type %s is taken as it is', (_type, line) => {
    expect(parseSshPublicKey(line)).toMatchObject({ line, comment: '', fingerprint: expect.stringMatching(/^SHA256:[\w+/]{43}$/) });
  });

  it('R17: is stripped of spaces around it, and its comment is kept apart, cut to what fits', () => {
    expect(parseSshPublicKey(`\n ${key}  ada@laptop 2\r\n`)).toMatchObject({ line: key, comment: 'ada@laptop 2' });
    expect(parseSshPublicKey(`${key} ${'c'.repeat(500)}`).comment).toHaveLength(64);
  });

  it.each<[string, string]>([
    ['options in front', `command="id",no-pty ${key}`],
    ['an option without a value in front', `restrict ${key}`],
    ['a second line', `${key}\n${anSshKey()}`],
    ['a line break inside the comment', `${key} a\ncommand="id" ${key}`],
    ['a carriage return inside', `${key} a\rb`],
    ['a tab between its words', `${type}\t${encoded}`],
    ['a NUL', `${key}\u0000`],
    ['letters beyond ASCII', `${key} café`],
    ['a line separator of Unicode', `${key} a\u2028b`],
    ['a type that nobody should use', sshKeyLine('ssh-dss', randomBytes(32))],
    ['a certificate', sshKeyLine('ssh-ed25519-cert-v01@openssh.com', randomBytes(32))],
    ['another type than it says inside', `ssh-rsa ${encoded}`],
    ['no second word', type],
    ['a second word that is not base64', `${type} ****`],
    ['base64 that was cut off', `${type} ${encoded.slice(0, -5)}`],
    ['base64 in the URL alphabet', `${type} ${encoded.replaceAll('A', '_')}`],
    ['spare base64 padding', `${type} ${encoded}==`],
    ['a field cut short inside', `${type} ${Buffer.from(encoded, 'base64').subarray(0, -1).toString('base64')}`],
    ['a tail after its fields', `${type} ${Buffer.concat([Buffer.from(encoded, 'base64'), Buffer.from([0])]).toString('base64')}`],
    ['a length that lies', `${type} ${Buffer.from('ffffffff00', 'hex').toString('base64')}`],
    ['a type and nothing else inside', sshKeyLine('ssh-ed25519')],
    ['31 bytes', sshKeyLine('ssh-ed25519', randomBytes(31))],
    ['an RSA modulus of 1024 bits', sshKeyLine('ssh-rsa', Buffer.from([1, 0, 1]), rsaModulus(1024))],
    ['more than fits', `${key} ${'x'.repeat(4000)}`],
    ['nothing', ''],
    ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----'],
  ])('R17: with %s is refused', (_what, text) => {
    expect(parses(text)).toBe(false);
  });

  it('R17: whatever bytes are sent, the answer is a clean line or a clear refusal', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: 'binary' }),
          fc.string().map((tail) => `ssh-ed25519 ${tail}`),
        ),
        (text) => {
          parses(text);
        },
      ),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(parses(`ssh-ed25519 ${Buffer.from(bytes).toString('base64')}`)).toBe(false);
      }),
    );
  });

  it('R17: cut anywhere, a key is refused', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: key.length - 1 }), (length) => !parses(key.slice(0, length))));
  });

  it('R17: a comment, whatever it is, never gets into the line', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 100 }), (comment) => {
        if (parses(`${key} ${comment}`)) {
          expect(parseSshPublicKey(`${key} ${comment}`).line).toBe(key);
        }
      }),
    );
  });
});
