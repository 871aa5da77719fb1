import { describe, expect, it } from '@jest/globals';
import { faultOfTarget, sshConfig } from './ssh-config';

const target = { nodeId: 7, address: '127.0.0.1', port: 22, hostKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5' };

describe('sshConfig', () => {
  it('pins the host key of the node under an alias of its own', () => {
    const config = sshConfig(target, { privateKey: '/k', knownHosts: '/h' });
    expect(config).toContain('HostKeyAlias node-7\n');
    expect(config).toContain('StrictHostKeyChecking yes\n');
    expect(config).toContain('HostKeyAlgorithms ssh-ed25519\n');
    expect(config).toContain('GlobalKnownHostsFile /dev/null\n');
  });

  it('takes signatures by SHA-2 for an RSA key', () => {
    const config = sshConfig({ ...target, hostKey: 'ssh-rsa AAAA' }, { privateKey: '/k', knownHosts: '/h' });
    expect(config).toContain('HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256\n');
  });

  it('quotes paths with blanks and escapes what ssh would expand', () => {
    const config = sshConfig(target, { privateKey: '/a b/100%', knownHosts: '/h' });
    expect(config).toContain('IdentityFile "/a b/100%%"\n');
  });
});

describe('faultOfTarget', () => {
  it.each([
    ['an address that is an option', { ...target, address: '-oProxyCommand=id' }],
    ['an address with a newline', { ...target, address: 'a\nb' }],
    ['an address that is a template', { ...target, address: "{{ lookup('pipe','id') }}" }],
    ['a port out of range', { ...target, port: 70_000 }],
    ['a host key with a second line', { ...target, hostKey: 'ssh-ed25519 AAAA\n* ssh-ed25519 BBBB' }],
  ])('refuses %s', (_, bad) => {
    expect(faultOfTarget(bad)).toBeDefined();
  });

  it('finds nothing wrong with an ordinary node', () => {
    expect(faultOfTarget(target)).toBeUndefined();
    expect(faultOfTarget({ ...target, address: 'fe80::1' })).toBeUndefined();
  });
});
