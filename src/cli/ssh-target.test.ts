import { describe, expect, it } from '@jest/globals';
import { checkTarget, knownHostsLine } from './ssh-target';

const target = { host: 'gw.orion.example', port: 2222, username: 'lease-42', host_key: 'ssh-ed25519 AAAA' };

describe('what a server says of where to log in', () => {
  it.each([target, { ...target, host: '127.0.10.3' }, { ...target, host: '::1' }, { ...target, username: 'orn-abc' }])(
    '%j is taken',
    (good) => expect(checkTarget(good)).toBe(good),
  );

  it.each([
    { host: '-oProxyCommand=id' },
    { host: 'a\nProxyCommand id' },
    { host: '%h' },
    { host: 'a b' },
    { host: '' },
    { host: 'a"' },
    { port: 0 },
    { port: 1.5 },
    { port: 70_000 },
    { port: '22; id' as never },
    { username: 'a\nHost *' },
    { username: '-l' },
    { username: '%r' },
    { username: '${HOME}' },
    { host_key: 'ssh-ed25519 AAAA\n* ssh-ed25519 BBBB' },
    { host_key: '@cert-authority * ssh-ed25519 AAAA' },
    { host_key: 'AAAA' },
  ])('%j is not', (change) => expect(() => checkTarget({ ...target, ...change })).toThrow('OpenSSH must not be told'));

  it('is pinned under the name that OpenSSH looks up', () => {
    expect([knownHostsLine(target), knownHostsLine({ ...target, port: 22 })]).toEqual([
      '[gw.orion.example]:2222 ssh-ed25519 AAAA\n',
      'gw.orion.example ssh-ed25519 AAAA\n',
    ]);
  });
});
