import { beforeEach, describe, expect, it } from '@jest/globals';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOrThrow } from '../../lab';
import { useBench } from './support/cli';
import { aGateway, aLease, page } from './support/fake-api';

/** What is written is read by the real ssh, which prints what it would do (`-G`). */
const bench = useBench();
let userConfig: string;
beforeEach(() => {
  bench.logIn();
  userConfig = join(bench.home, '.ssh', 'config');
  writeFileSync(
    join(bench.configDir, 'leases.json'),
    JSON.stringify({ [bench.api.url]: { 7: { private_key: '/keys/of 100%/id', ends_at: '2026-05-04T10:00:00.000Z' } } }),
  );
  bench.api.on('GET /api/leases', page(aLease({ gateway: aGateway() })));
});

/** `-F` because ssh asks the system, and not HOME, where the user's configuration is. */
async function settingsFor(host: string): Promise<Record<string, string>> {
  const text = await runOrThrow('ssh', ['-G', '-F', userConfig, host]);
  return Object.fromEntries(text.split('\n').map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

function writeUserConfig(text: string | Buffer, mode = 0o600): void {
  mkdirSync(join(bench.home, '.ssh'), { recursive: true, mode: 0o700 });
  writeFileSync(userConfig, text);
  chmodSync(userConfig, mode);
}

describe('orion config-ssh', () => {
  it('lets plain ssh reach a lease through its gateway, with its key, its user and the pinned host key alone', async () => {
    const { code, stdout } = await bench.call(['config-ssh']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'orion-7  lease-7@gw.orion.example:2222\n' });
    const knownHosts = join(bench.configDir, 'known_hosts');
    expect(await settingsFor('orion-7')).toMatchObject({
      hostname: 'gw.orion.example',
      port: '2222',
      user: 'lease-7',
      identityfile: '/keys/of 100%%/id',
      identitiesonly: 'yes',
      userknownhostsfile: knownHosts,
      stricthostkeychecking: 'true',
      globalknownhostsfile: '/dev/null',
    });
    expect(await runOrThrow('ssh-keygen', ['-F', '[gw.orion.example]:2222', '-f', knownHosts])).toContain(
      '[gw.orion.example]:2222 ssh-ed25519 AAAA',
    );
    expect([userConfig, join(bench.configDir, 'ssh_config'), knownHosts].map((file) => statSync(file).mode & 0o777)).toEqual([
      0o600, 0o600, 0o600,
    ]);
  }, 30_000);

  it('names what is running now, and includes itself once', async () => {
    await bench.call(['config-ssh']);
    const before = readFileSync(userConfig);
    bench.api.on('GET /api/leases', page(aLease({ id: 8 }), aLease({ id: 9, access: null, state: 'provisioning' })));
    expect((await bench.call(['config-ssh'])).stdout).toBe('orion-8  orn-abc@127.0.10.3:2222\n');
    expect(readFileSync(userConfig)).toEqual(before);
    expect([await settingsFor('orion-7'), await settingsFor('orion-8')]).toMatchObject([
      { hostname: 'orion-7' },
      { hostname: '127.0.10.3', port: '2222' },
    ]);
  }, 30_000);

  it('leaves what the user has as it is: content to the byte, mode, meaning, symbolic link', async () => {
    const own = Buffer.from('# caf\xe9, no UTF-8\r\nUser ada\nHost *.lab\n  Port 2200\nHost last\n  User eve', 'latin1');
    writeUserConfig(own, 0o644);
    expect((await bench.call(['config-ssh'])).code).toBe(0);
    expect(readFileSync(userConfig).subarray(-own.length)).toEqual(own);
    expect([await settingsFor('a.lab'), await settingsFor('orion-7')]).toMatchObject([
      { user: 'ada', port: '2200' },
      { user: 'lease-7', port: '2222' },
    ]);
    expect((await bench.call(['config-ssh', '--remove'])).code).toBe(0);
    expect([readFileSync(userConfig), statSync(userConfig).mode & 0o777]).toEqual([own, 0o644]);
    expect(existsSync(join(bench.configDir, 'ssh_config'))).toBe(false);
  }, 30_000);

  it("wins over a Host * of the user's that would lead elsewhere, also when somebody has put it before", async () => {
    const own = `Host *
  RemoteCommand tmux attach
  RequestTTY force
  ProxyJump bastion
  ControlMaster auto
  ControlPath /tmp/one-for-all
  CanonicalizeHostname always
  User root
  Port 22
  HostName elsewhere
  HostKeyAlias other
  HostKeyAlgorithms ssh-rsa
  StrictHostKeyChecking no
  UserKnownHostsFile /tmp/others
  PreferredAuthentications password
  IdentityFile /keys/of/others
  IdentitiesOnly no
  PubkeyAuthentication no
  VerifyHostKeyDNS yes
`;
    writeUserConfig(own);
    await bench.call(['config-ssh']);
    const expected = {
      hostname: 'gw.orion.example',
      port: '2222',
      user: 'lease-7',
      controlmaster: 'false',
      requesttty: 'auto',
      canonicalizehostname: 'false',
      hostkeyalias: '[gw.orion.example]:2222',
      hostkeyalgorithms: 'ssh-ed25519',
      stricthostkeychecking: 'true',
      userknownhostsfile: join(bench.configDir, 'known_hosts'),
      preferredauthentications: 'publickey,keyboard-interactive,password',
      pubkeyauthentication: 'true',
      identitiesonly: 'yes',
      verifyhostkeydns: 'false',
    };
    const settings = await settingsFor('orion-7');
    expect(settings).toMatchObject(expected);
    // `ssh -G` leaves out what is none.
    expect(
      ['remotecommand', 'proxyjump', 'proxycommand', 'controlpath'].filter(
        (name) => settings[name] !== undefined && settings[name] !== 'none',
      ),
    ).toEqual([]);
    expect(await settingsFor('another')).toMatchObject({ hostname: 'elsewhere', proxyjump: 'bastion', user: 'root' });

    writeUserConfig(own + readFileSync(userConfig, 'utf8').replace(own, ''));
    expect(await settingsFor('orion-7')).toMatchObject({ hostname: 'elsewhere' });
    await bench.call(['config-ssh']);
    expect(await settingsFor('orion-7')).toMatchObject(expected);
    await bench.call(['config-ssh', '--remove']);
    expect(readFileSync(userConfig, 'utf8')).toBe(own);
  }, 30_000);

  it('writes to where a symbolic link leads, be there something or not', async () => {
    mkdirSync(join(bench.home, '.ssh'), { mode: 0o700 });
    symlinkSync('../dotfiles', userConfig);
    await bench.call(['config-ssh']);
    expect([lstatSync(userConfig).isSymbolicLink(), readFileSync(join(bench.home, 'dotfiles'), 'utf8')]).toEqual([
      true,
      expect.stringContaining('Include '),
    ]);
    await bench.call(['config-ssh', '--remove']);
    expect([lstatSync(userConfig).isSymbolicLink(), readFileSync(join(bench.home, 'dotfiles'), 'utf8')]).toEqual([true, '']);
  });

  it('with --print writes nothing', async () => {
    const { stdout } = await bench.call(['config-ssh', '--print']);
    expect(stdout).toContain('Host orion-7\n  HostName gw.orion.example\n');
    expect([userConfig, join(bench.configDir, 'ssh_config')].map((file) => existsSync(file))).toEqual([false, false]);
  });

  it.each([
    { host: 'a\nProxyCommand id' },
    { username: 'a\n  ProxyCommand id' },
    { host_key: 'ssh-ed25519 AAAA\n* ssh-ed25519 BBBB' },
    { port: '22\nProxyCommand id' },
  ])('writes nothing when the server says %j', async (change) => {
    bench.api.on('GET /api/leases', page(aLease({ gateway: aGateway(change) })));
    const { code, stderr } = await bench.call(['config-ssh']);
    expect(code).toBe(1);
    expect(stderr).toContain('OpenSSH must not be told');
    expect([userConfig, join(bench.configDir, 'ssh_config'), join(bench.configDir, 'known_hosts')].some((file) => existsSync(file))).toBe(
      false,
    );
  });
});
