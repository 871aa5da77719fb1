import { describe, expect, it } from '@jest/globals';
import { createRequire } from 'node:module';
import { CIPHERS, KEY_EXCHANGES } from '../../lib/ssh-algorithms';
import { algorithmFindings } from './algorithms';
import { checkOf, fail, printChecks, runExamination, warn } from './check';
import { clockFindings } from './contact';
import { loginFindings, managementFindings, matchName, nologinFindings } from './logins';
import { isForeign, mountOf, parseMountinfo } from './mounts';
import { parsePythonVersion } from './python';
import { configIn, listeningInodes, parseSettings, parseSshVersion } from './sshd';
import { spaceFindings } from './storage';

describe('the output of sshd -T', () => {
  const account = { name: 'orn-check', groups: ['orion-keys', 'orn-check'], pattern: 'orn-*' };
  const results = (text: string): string[] =>
    loginFindings(parseSettings(text), account, 'F').map(({ result, cause }) => `${result} ${cause}`);

  it('has a line for each name of a list, and carriage returns and blank lines are passed over', () => {
    expect(parseSettings('port 22\r\nallowusers root\nallowusers orn-*\n\n# no setting\n')).toEqual(
      new Map([
        ['port', ['22']],
        ['allowusers', ['root', 'orn-*']],
      ]),
    );
  });

  it.each<[string, string[]]>([
    ['', []],
    ['allowusers root\nallowusers orn-*', []],
    ['allowusers root orn-check', []],
    ['allowusers *@10.0.0.*', ['warn AllowUsers in F admits orn-check from some hosts only']],
    ['allowusers root', ['fail AllowUsers in F does not admit orn-check']],
    ['denyusers *@badhost', ['warn DenyUsers in F refuses orn-check from some hosts']],
    ['denyusers orn-?????', ['fail DenyUsers in F names orn-check']],
    ['allowgroups wheel\nallowgroups orion-*', []],
    ['denygroups orn-check', ['fail DenyGroups in F names a group of orn-check']],
    ['authenticationmethods any', []],
    ['authenticationmethods password publickey', []],
    ['authenticationmethods publickey,password', ['fail AuthenticationMethods in F wants more than a key: publickey,password']],
    ['maxsessions 0', ['fail MaxSessions is 0 in F']],
    ['maxsessions 10\nforcecommand none\nchrootdirectory none', []],
    ['forcecommand internal-sftp', ['fail ForceCommand in F runs something else: internal-sftp']],
    ['chrootdirectory /srv', ['fail ChrootDirectory is set in F: /srv']],
  ])('%j lets tenants in, or says why not', (text, expected) => {
    expect(results(text)).toEqual(expected);
  });

  it('matches names as sshd does, whatever a pattern is made of', () => {
    expect([
      matchName(['o.n'], 'orn'),
      matchName(['[a-z]*'], 'orn'),
      matchName(['(.*'], 'orn'),
      matchName(['*'], 'orn'),
      matchName(['o?n@*'], 'orn'),
    ]).toEqual(['no', 'no', 'no', 'yes', 'yes']);
  });

  it('tells whether the management account, which is root, may log in with the keys in its home', () => {
    const wrong = (text: string): number => managementFindings(parseSettings(text), '/var/lib/orion/mgmt', 'F').length;
    expect(
      [
        'permitrootlogin prohibit-password',
        'permitrootlogin without-password',
        'permitrootlogin yes',
        'authorizedkeysfile /x/%u %h/.ssh/authorized_keys',
      ].map(wrong),
    ).toEqual([0, 0, 0, 0]);
    expect(
      ['permitrootlogin no', 'permitrootlogin forced-commands-only', 'authorizedkeysfile /etc/ssh/keys/%u', 'authorizedkeysfile none'].map(
        wrong,
      ),
    ).toEqual([1, 1, 1, 1]);
  });

  it('counts /run/nologin only where PAM looks at it', () => {
    const wrong = (text: string, present: string[]): number => nologinFindings(parseSettings(text), present).length;
    expect([
      wrong('usepam yes', ['/run/nologin']),
      wrong('usepam no', ['/run/nologin']),
      wrong('usepam no', ['/etc/nologin']),
      wrong('usepam yes', []),
    ]).toEqual([1, 0, 1, 0]);
  });

  it('is compared with what the control plane offers', () => {
    const wrong = (text: string, type = 'ssh-ed25519'): string[] =>
      algorithmFindings(parseSettings(text), type, 'F').map(({ cause }) => cause.split(' ')[0] ?? '');
    expect(wrong('kexalgorithms a,curve25519-sha256\nciphers b,aes256-ctr\nhostkeyalgorithms ssh-ed25519')).toEqual([]);
    expect(wrong('kexalgorithms a\nciphers b\nhostkeyalgorithms ssh-rsa')).toEqual(['KexAlgorithms', 'Ciphers', 'HostKeyAlgorithms']);
    expect(wrong('hostkeyalgorithms rsa-sha2-256', 'ssh-rsa')).toEqual([]);
  });

  it('is compared with what ssh2 really offers', () => {
    const ssh2 = createRequire(import.meta.url)('ssh2/lib/protocol/constants.js') as { DEFAULT_CIPHER: string[]; SUPPORTED_KEX: string[] };
    expect([...CIPHERS].toSorted()).toEqual(ssh2.DEFAULT_CIPHER.toSorted());
    expect(ssh2.SUPPORTED_KEX).toEqual(expect.arrayContaining([...KEY_EXCHANGES]));
  });
});

describe('versions', () => {
  it.each<[string, [number, number] | undefined]>([
    ['OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026', [9, 2]],
    ['unknown option -- V\nOpenSSH_7.4p1, OpenSSL 1.0.2k-fips  26 Jan 2017\nusage: sshd', [7, 4]],
    ['OpenSSH_10.0p2', [10, 0]],
    ['Dropbear v2022.83', undefined],
    ['', undefined],
  ])('of sshd in %j', (output, version) => expect(parseSshVersion(output)).toEqual(version));

  it('of Python, whatever else is printed', () => {
    expect([
      parsePythonVersion('warning: x\nPython 3.11\n'),
      parsePythonVersion('Python 2.7'),
      parsePythonVersion('sh: python3: not found'),
    ]).toEqual([[3, 11], [2, 7], undefined]);
  });
});

describe('mountinfo', () => {
  const mounts = parseMountinfo(
    [
      '21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro',
      '22 21 0:40 / /home rw,nosuid shared:1 master:2 - nfs4 server:/home rw,vers=4.2',
      '23 21 8:1 /etc/passwd /etc/passwd rw - ext4 /dev/sda1 rw',
      '24 21 0:41 / /mnt/a\\040b\\134c rw,noexec - tmpfs tmpfs rw',
      '25 22 0:42 / /home rw - xfs /dev/sdb1 ro',
      'rubbish',
      '',
    ].join('\n'),
  );

  it('tells where a path lies: the nearest mount, and the newest of several at one place', () => {
    expect([
      mountOf(mounts, '/home/a')?.type,
      mountOf(mounts, '/homes')?.type,
      mountOf(mounts, '/')?.point,
      mountOf(mounts, '/mnt/a b\\c')?.type,
    ]).toEqual(['xfs', 'ext4', '/', 'tmpfs']);
    expect(mountOf(mounts, '/home')?.options.has('ro')).toBe(true);
    expect(mountOf(mounts, '/mnt/a b\\c/x')?.options.has('noexec')).toBe(true);
  });

  it.each<[string, boolean]>([
    ['nfs', true],
    ['nfs4', true],
    ['cifs', true],
    ['fuse.sshfs', true],
    ['fuse.glusterfs', true],
    ['9p', true],
    ['autofs', true],
    ['ext4', false],
    ['overlay', false],
    ['fuse.fuse-overlayfs', false],
    ['fuseblk', false],
  ])('whether homes on %s could not be wiped: %s', (type, foreign) => expect(isForeign(type)).toBe(foreign));
});

it('finds the sockets that listen on a port, on IPv4 and IPv6', () => {
  const row = (local: string, state: string, inode: string): string =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0 0 10 0`;
  const table = [
    '  sl  local_address rem_address   st',
    row('0100007F:0016', '0A', '11'),
    row('0100007F:0016', '01', '12'),
    row('00000000000000000000000000000000:0016', '0A', '13'),
    row('0100007F:0017', '0A', '14'),
  ].join('\n');
  expect([...listeningInodes(table, 22)]).toEqual(['11', '13']);
  expect([configIn(['sshd', '-D', '-f', '/x']), configIn(['sshd', '-f']), configIn([])]).toEqual([
    '/x',
    '/etc/ssh/sshd_config',
    '/etc/ssh/sshd_config',
  ]);
});

it('grades free space and inodes, and knows file systems without a table of inodes', () => {
  const graded = (freeMb: number, files: number, ffree: number): string[] =>
    spaceFindings('/home', { bavail: freeMb, bsize: 1024 * 1024, files, ffree }).map(({ result }) => result);
  expect([
    graded(199, 0, 0),
    graded(200, 0, 0),
    graded(1024, 0, 0),
    graded(5000, 1e6, 999),
    graded(5000, 1e6, 9999),
    graded(5000, 1e6, 1e5),
  ]).toEqual([['fail'], ['warn'], [], ['fail'], ['warn'], []]);
});

it('warns of a clock that is more than a minute off, and not where the answer has no date', () => {
  const at = new Date('2026-01-01T00:02:00Z');
  expect(
    ['Thu, 01 Jan 2026 00:00:59 GMT', 'Thu, 01 Jan 2026 00:01:30 GMT', 'Thu, 01 Jan 2026 00:03:30 GMT', undefined, 'x'].map(
      (date) => clockFindings(date, at)[0]?.cause,
    ),
  ).toEqual([
    "the clock is 61 s ahead of the control plane's",
    undefined,
    "the clock is 90 s behind the control plane's",
    undefined,
    undefined,
  ]);
});

describe('a check', () => {
  it('is as bad as its worst finding, and takes a line and one for what to do', () => {
    const check = checkOf('login', [warn('a', 'b'), fail('c\nd', 'b')]);
    expect(check).toEqual({ name: 'login', result: 'fail', cause: 'a; c\nd', remedy: 'b' });
    expect(printChecks([check, checkOf('home', []), checkOf('tmp', [warn('x', 'y')])])).toBe(
      '✗ login: a; c d\n    b\n✓ home\n! tmp: x\n    y\n',
    );
  });

  it('fails when it hangs and warns when it breaks', async () => {
    const hung = await runExamination({ name: 'home', examine: () => new Promise(() => undefined) }, 20);
    const broken = await runExamination({ name: 'home', examine: () => Promise.reject(new Error('EIO')) });
    expect([hung, broken]).toMatchObject([
      { result: 'fail', cause: 'the check got no answer within 20 ms' },
      { result: 'warn', cause: 'the check could not be made: EIO' },
    ]);
  });
});
