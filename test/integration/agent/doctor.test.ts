import { beforeAll, describe, expect, it } from '@jest/globals';
import { freePort, type RunResult } from '../../lab';
import { useForAll, useLab, useWorker } from '../../support/hooks';
import { givenSshdLine } from '../../support/sshd';
import { agentFile, createFakeControlPlane } from './fake-control-plane';

/** The built file on a real worker, whose owner has done something to it. */
describe('orion-agent doctor', () => {
  const lab = useLab();
  const control = useForAll(() => createFakeControlPlane(lab));
  const worker = useWorker(lab);

  beforeAll(() => control.open());

  const doctor = (settings: Record<string, string> = {}, { prepare = ':', json = true } = {}): Promise<RunResult> => {
    const env = {
      API_ENDPOINT: control.endpoint,
      ORION_CONTROL_FINGERPRINT: control.fingerprint,
      MY_HOST_PORT: String(worker.port),
      ...settings,
    };
    const words = Object.entries(env)
      .map(([name, value]) => `${name}='${value}'`)
      .join(' ');
    // In a mount namespace of its own: what is mounted for it is gone afterwards.
    return worker.exec(
      `unshare --mount sh -c '${prepare} && exec env "$@"' sh ${words} ${process.execPath} '${agentFile}' doctor ${json ? '--json' : ''}`,
    );
  };
  interface Check {
    name: string;
    result: string;
    cause: string;
    remedy: string;
  }
  const checksOf = ({ stdout }: RunResult): Check[] => (JSON.parse(stdout) as { checks: Check[] }).checks;
  const failing = (result: RunResult): Record<string, string> =>
    Object.fromEntries(
      checksOf(result)
        .filter((check) => check.result === 'fail')
        .map(({ name, cause }) => [name, cause]),
    );

  it('finds nothing wrong with a machine that is as it should be, and changes nothing', async () => {
    const files = (): Promise<RunResult> => worker.exec('find / -xdev -newercm /run/stamp ! -type d -print');
    await worker.exec('touch /run/stamp');
    const result = await doctor();
    expect({ code: result.code, failing: failing(result), stderr: result.stderr }).toEqual({ code: 0, failing: {}, stderr: '' });
    expect(checksOf(result).map(({ name }) => name)).toEqual([
      'root',
      'settings',
      'host-name',
      'python',
      'sshd',
      'host-key',
      'management-login',
      'tenant-login',
      'algorithms',
      'home',
      'tmp',
      'programs',
      'account-files',
      'disk',
      'memory',
      'control-plane',
      'clock',
    ]);
    expect((await files()).stdout).toBe('');
    expect((await doctor({}, { json: false })).stdout).toMatch(/^✓ root\n✓ settings\n/);
  }, 60_000);

  it.each([
    [
      'AllowUsers root',
      { 'management-login': /AllowUsers in .* does not admit orion-mgmt/, 'tenant-login': /AllowUsers in .* does not admit orn-check/ },
    ],
    ['AllowGroups root', { 'tenant-login': /AllowGroups in .* names no group of orn-check/ }],
    ['DenyUsers orn-\\*', { 'tenant-login': /DenyUsers in .* names orn-check/ }],
    ['DenyGroups orion-keys', { 'tenant-login': /DenyGroups/ }],
    ['PermitRootLogin no', { 'management-login': /PermitRootLogin is no in .* orion-mgmt has uid 0/ }],
    ['PubkeyAuthentication no', { 'management-login': /PubkeyAuthentication is off/, 'tenant-login': /PubkeyAuthentication is off/ }],
    ['AuthenticationMethods publickey,publickey', { 'management-login': /more than a key/, 'tenant-login': /more than a key/ }],
    ['AuthorizedKeysFile /etc/ssh/keys/%u', { 'management-login': /AuthorizedKeysFile in .* is \/etc\/ssh\/keys/ }],
    ['ForceCommand /bin/false', { 'management-login': /ForceCommand/, 'tenant-login': /ForceCommand/ }],
    [
      'KexAlgorithms sntrup761x25519-sha512@openssh.com',
      { algorithms: /KexAlgorithms in .* has none that the control plane offers \(sntrup761/ },
    ],
  ])(
    'says that sshd has %s',
    async (line, expected) => {
      const restore = await givenSshdLine(worker, line);
      try {
        const result = await doctor();
        expect({ code: result.code, failing: failing(result) }).toEqual({
          code: 1,
          failing: Object.fromEntries(Object.entries(expected).map(([name, cause]) => [name, expect.stringMatching(cause)])),
        });
      } finally {
        await restore();
      }
    },
    60_000,
  );

  const hide = (path: string): string => `for file in ${path}; do [ ! -e "$file" ] || mount --bind /dev/null "$file" || exit 99; done`;
  it.each([
    ['home', /\/home cannot be written to \(it is read-only\)/, 'mount --bind /home /home && mount -o remount,bind,ro /home'],
    ['account-files', /\/etc\/passwd is a mount of its own/, 'mount --bind /etc/passwd /etc/passwd'],
    ['python', /python3 is not there or cannot be started/, hide('/usr/bin/python3 /usr/local/bin/python3 /bin/python3')],
    ['disk', /\d+ MB are free on the file system of \/home/, 'mount -t tmpfs -o size=1m none /home'],
    ['disk', /\d+ files can still be made on the file system of \/home/, 'mount -t tmpfs -o size=2g,nr_inodes=20 none /home'],
    ['tenant-login', /\/etc\/nologin is there/, 'touch /etc/nologin'],
  ])(
    'finds what is wrong with a machine: %s, %s',
    async (name, cause, prepare) => {
      const result = await doctor({}, { prepare });
      await worker.exec('rm -f /etc/nologin');
      expect({ code: result.code, failing: failing(result), stderr: result.stderr }).toEqual({
        code: 1,
        failing: { [name]: expect.stringMatching(cause) },
        stderr: '',
      });
    },
    60_000,
  );

  it('warns of what tenants will notice, and calls the machine usable', async () => {
    const result = await doctor(
      {},
      {
        prepare:
          'mount --bind /home /home && mount -o remount,bind,noexec /home && mount --bind /tmp /tmp && mount -o remount,bind,noexec /tmp',
      },
    );
    const warned = checksOf(result)
      .filter((check) => check.result === 'warn')
      .map(({ name }) => name);
    expect({ code: result.code, warned }).toEqual({ code: 0, warned: expect.arrayContaining(['home', 'tmp']) });
  }, 60_000);

  it('says that nobody answers at the endpoint, and what to do', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    const result = await doctor({ API_ENDPOINT: endpoint });
    expect({ code: result.code, failing: failing(result) }).toEqual({
      code: 1,
      failing: { 'control-plane': expect.stringMatching(`^${endpoint} does not answer: .*ECONNREFUSED`) },
    });
    const printed = await doctor({ API_ENDPOINT: endpoint }, { json: false });
    expect(printed.stdout).toMatch(/\n✗ control-plane: .*ECONNREFUSED.*\n {4}look at API_ENDPOINT/);
  }, 60_000);

  it('says that a peer which never answers does not answer', async () => {
    const silent = await freePort();
    const prepare = `{ ${process.execPath} -e "require(\\"net\\").createServer(() => undefined).listen(${silent}, \\"127.0.0.1\\")" >/dev/null 2>&1 & trap "kill $!" EXIT; sleep 1; }`;
    const result = await doctor(
      { API_ENDPOINT: `http://127.0.0.1:${silent}` },
      { prepare: prepare.replace('trap "kill $!" EXIT; ', 'echo $! >/run/silent; ') },
    );
    await worker.exec('kill "$(cat /run/silent)"');
    expect({ code: result.code, failing: failing(result) }).toEqual({
      code: 1,
      failing: { 'control-plane': expect.stringContaining('does not answer: no answer within') },
    });
  }, 60_000);

  it.each(['my_host', '-node'])(
    'says that %s is no host name, and examines the rest',
    async (name) => {
      const result = await doctor({ MY_HOSTNAME: name });
      expect({ code: result.code, failing: failing(result) }).toEqual({
        code: 1,
        failing: { 'host-name': expect.stringContaining(JSON.stringify(name)) },
      });
    },
    60_000,
  );

  it('says which setting is missing', async () => {
    const result = await doctor({ API_ENDPOINT: '' });
    expect({ code: result.code, failing: failing(result) }).toEqual({ code: 1, failing: { settings: 'API_ENDPOINT: is required' } });
  }, 60_000);

  it('wants to run as root', async () => {
    const { code, stdout } = await worker.exec(
      `setpriv --reuid 65534 --regid 65534 --clear-groups ${process.execPath} '${agentFile}' doctor`,
    );
    expect({ code, stdout }).not.toMatchObject({ code: 0 });
    expect(stdout).not.toContain('✓');
  }, 60_000);
});
