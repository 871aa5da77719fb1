import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccountSpec, Check, Fitness, ProvisioningError } from '../../../src/modules/provisioning';
import { givenSshdLine } from '../../support/sshd';
import { aSpec, asRoot, type Bench, nodeOf, useBench } from './support';

const { bench, worker } = useBench();
const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const back of undo.splice(0).toReversed()) {
    await back();
  }
  // A check is made on a machine without accounts.
  await bench.provisioner.wipe(nodeOf(worker), []);
}, 30_000);

/** Does something to the machine, as its owner would, until the end of the test. */
async function given(command: string, back: string): Promise<void> {
  undo.push(() => asRoot(worker, back));
  await asRoot(worker, command);
}

const givenConfig = async (line: string): Promise<void> => void undo.push(await givenSshdLine(worker, line));

let n = 0;
const look = async (): Promise<Fitness> => {
  const { username, uid } = aSpec(bench.tenantKey);
  n += 1;
  return bench.provisioner.proveFitness(
    nodeOf(worker),
    { username: `orn-check-${n}${username.slice(-6).replace(/^-/, 'x')}`, uid },
    { rules: '' },
  );
};
const failing = ({ checks }: Fitness): Check[] => checks.filter(({ result }) => result === 'fail');
const rent = (change: Partial<AccountSpec> = {}): ReturnType<Bench['provisioner']['ensurePresent']> =>
  bench.provisioner.ensurePresent(nodeOf(worker), { ...aSpec(bench.tenantKey), proveLogin: true, ...change });
const refusalOf = async (): Promise<Pick<ProvisioningError, 'failure' | 'message'>> =>
  rent().then(
    () => ({ failure: 'failed' as const, message: 'it was let in' }),
    (error: unknown) => error as ProvisioningError,
  );

describe('whether a tenant can log in', () => {
  it('is found by a login as one: a machine as it should be passes, and nothing of the check stays', async () => {
    const { checks, fence } = await look();
    expect(checks).toEqual([
      { name: 'account', result: 'ok', cause: '', remedy: '' },
      { name: 'login', result: 'ok', cause: '', remedy: '' },
    ]);
    expect(fence).toBeGreaterThan(0);
    expect(await asRoot(worker, 'grep -c orn-check /etc/passwd || :')).toBe('0');
  }, 60_000);

  it('is not asked again while nothing has changed that decides on it, and is after each change', async () => {
    const { details } = await bench.provisioner.wipe(nodeOf(worker), []);
    await rent();
    const rules = await bench.provisioner.wipe(nodeOf(worker), []).then((report) => String(report.details['login_rules']));
    const { username, uid } = aSpec(bench.tenantKey);
    const again = await bench.provisioner.proveFitness(nodeOf(worker), { username, uid }, { rules });
    expect([again, typeof details['login_rules']]).toEqual([{ checks: [], fence: undefined }, 'string']);
    const seen = [rules];
    for (const [command, back] of [
      ['touch /etc/nologin', 'rm /etc/nologin'],
      ['touch /etc/ssh/sshrc', 'rm /etc/ssh/sshrc'],
      ['touch -d yesterday /etc/pam.d/sshd', 'touch /etc/pam.d/sshd'],
    ]) {
      await given(command as string, back as string);
      seen.push(String((await bench.provisioner.wipe(nodeOf(worker), [])).details['login_rules']));
    }
    await givenConfig('# a comment');
    seen.push(String((await bench.provisioner.wipe(nodeOf(worker), [])).details['login_rules']));
    expect(new Set(seen).size).toBe(5);
  }, 60_000);

  it.each([
    ['AllowUsers root orion-mgmt', 'AllowUsers in /etc/ssh/sshd_config does not admit orn-'],
    ['DenyUsers orn-*', 'DenyUsers in /etc/ssh/sshd_config names it'],
    ['AllowGroups root', 'AllowGroups in /etc/ssh/sshd_config names no group of it: add orion-keys'],
    [
      'AuthenticationMethods publickey,password publickey,keyboard-interactive',
      'AuthenticationMethods in /etc/ssh/sshd_config asks for more than a key',
    ],
  ])(
    '%s: a rent is refused with the cause, and so is the look after the wipe',
    async (line, cause) => {
      // The control plane itself is let in.
      await givenConfig(line.startsWith('AuthenticationMethods') ? `Match User orn-*\\n${line}\\nMatch all` : line);
      const refusal = await refusalOf();
      expect(refusal.failure).toBe('login_refused');
      expect(refusal.message).toContain(cause);
      await bench.provisioner.wipe(nodeOf(worker), []);
      const [found] = failing(await look());
      expect(found).toMatchObject({
        name: 'login',
        result: 'fail',
        cause: expect.stringContaining(cause),
        remedy: expect.stringContaining('orn-*'),
      });
    },
    60_000,
  );

  it('a command that is forced on everybody is no login', async () => {
    await givenConfig('Match User orn-*\\nForceCommand echo only this\\nMatch all');
    expect(await refusalOf()).toMatchObject({
      failure: 'login_refused',
      message: expect.stringContaining('ForceCommand in /etc/ssh/sshd_config runs something else: echo only this'),
    });
  }, 60_000);

  it('/etc/nologin is found where PAM goes by it', async () => {
    await givenConfig('UsePAM yes');
    await given('echo Maintenance > /etc/nologin', 'rm -f /etc/nologin');
    expect(await refusalOf()).toMatchObject({ failure: 'login_refused', message: expect.stringContaining('/etc/nologin is there') });
  }, 60_000);

  it('what a machine prints at each login is no obstacle', async () => {
    await given("echo 'echo Welcome, and read the rules' > /etc/ssh/sshrc", 'rm -f /etc/ssh/sshrc');
    expect(failing(await look())).toEqual([]);
  }, 60_000);

  it.each([
    [
      'a home folder that cannot be written',
      'mount --bind /home /home && mount -o remount,bind,ro /home',
      'umount /home',
      'Read-only file system',
    ],
    [
      'account files that cannot be replaced',
      'cp /etc/passwd /root/passwd && mount --bind /root/passwd /etc/passwd',
      'umount /etc/passwd',
      '/etc/passwd',
    ],
  ])(
    '%s: no account can be made, and the check says so',
    async (_what, command, back, cause) => {
      await given(command, back);
      const [found] = failing(await look());
      expect(found).toMatchObject({
        name: 'account',
        cause: expect.stringContaining(cause),
        remedy: expect.stringContaining('/etc/passwd'),
      });
    },
    60_000,
  );
});

it('I1: the account of a check that broke off keeps no tenant away; another tenant does', async () => {
  const [check, tenant, next] = [{ ...aSpec(bench.tenantKey), username: 'orn-check-left' }, aSpec(bench.tenantKey), aSpec(bench.tenantKey)];
  await bench.provisioner.ensurePresent(nodeOf(worker), check);
  await bench.provisioner.ensurePresent(nodeOf(worker), { ...tenant, alone: true });
  await expect(bench.provisioner.ensurePresent(nodeOf(worker), { ...next, alone: true })).rejects.toMatchObject({ failure: 'stale' });
  expect(await asRoot(worker, 'grep -o ^orn-[^:]* /etc/passwd')).toBe(`${check.username}\n${tenant.username}`);
  await bench.provisioner.wipe(nodeOf(worker), [check, tenant]);
}, 60_000);

it('I7: a check that comes too late, when the next tenant is on the machine, makes no account and touches nothing', async () => {
  const tenant = aSpec(bench.tenantKey);
  await bench.provisioner.ensurePresent(nodeOf(worker), tenant);
  const late = bench.provisioner.proveFitness(nodeOf(worker), { username: 'orn-check-late', uid: tenant.uid + 1 }, { rules: '' });
  await expect(late).rejects.toMatchObject({ failure: 'stale' });
  expect(await asRoot(worker, `grep -c ^orn-check /etc/passwd; id -u ${tenant.username}`)).toBe(`0\n${tenant.uid}`);
}, 60_000);
