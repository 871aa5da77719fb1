import { describe, expect, it } from '@jest/globals';
import { authorizedKeys } from './management-account';
import { normalisePublicKey } from './public-key';

const blobOf = (type: string): string => {
  const name = Buffer.from(type);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(name.length);
  return Buffer.concat([size, name, Buffer.alloc(36, 7)]).toString('base64');
};
const key = `ssh-ed25519 ${blobOf('ssh-ed25519')}`;

describe('a public key line from outside', () => {
  it.each([key, `${key} orion`, `  ${key} a comment\n`])('is reduced to type and blob', (line) => {
    expect(normalisePublicKey(line)).toBe(key);
  });

  it.each([
    ['an option before it', `command="sh" ${key}`],
    ['two lines', `${key}\n${key}`],
    ['a line hidden behind the comment', `${key} orion\nssh-rsa AAAA`],
    ['a carriage return', `${key} orion\rssh-rsa AAAA`],
    ['an unknown type', `ssh-dss ${blobOf('ssh-dss')}`],
    ['a certificate', `ssh-ed25519-cert-v01@openssh.com ${blobOf('ssh-ed25519-cert-v01@openssh.com')}`],
    ['a blob of another type', `ssh-ed25519 ${blobOf('ssh-rsa')}`],
    ['a blob that is none', 'ssh-ed25519 AAAA'],
    ['no blob', 'ssh-ed25519'],
    ['nothing', ''],
    ['a comment line', `# ${key}`],
  ])('is refused with %s', (_what, line) => {
    expect(normalisePublicKey(line)).toBeUndefined();
  });

  it('stands under "restrict" in authorized_keys', () => {
    expect(authorizedKeys([key, `${key} other`])).toBe(`restrict ${key} orion\nrestrict ${key} orion\n`);
  });

  it('spoils the whole list when it is no plain key', () => {
    expect(() => authorizedKeys([key, `command="sh" ${key}`])).toThrow('none was installed');
  });
});
