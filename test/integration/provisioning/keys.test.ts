import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, generateSshKeyPair, sshExec, type SshKeyPair, type SshTarget } from '../../lab';
import { useForAll, useForEach } from '../../support/hooks';
import { changeSshd, SSHD_CONFIG } from '../../support/sshd';
import { openSession } from '../../support/tenant';
import { type AccountSpec } from '../../../src/modules/provisioning';
import { aSpec, asRoot, asTenant, type Bench, nodeOf, tenantOf, useBench } from './support';

describe('the keys of an account', () => {
  const { bench, worker } = useBench();
  const own = useForAll(() => generateSshKeyPair(bench.lab.dir));
  const spec = useForEach(() => aSpec(bench.tenantKey));
  const root = (command: string, input?: string): Promise<string> => asRoot(worker, command, input);
  const present = (change: Partial<AccountSpec> = {}): ReturnType<Bench['provisioner']['ensurePresent']> =>
    bench.provisioner.ensurePresent(nodeOf(worker), { ...spec, ...change });
  const as = (key: SshKeyPair): SshTarget => tenantOf(worker, spec.username, key);
  const setPam = (value: 'yes' | 'no'): Promise<void> => changeSshd(worker, `sed -i 's/^UsePAM .*/UsePAM ${value}/' ${SSHD_CONFIG}`);
  const opens = async (key: SshKeyPair): Promise<boolean> => (await sshExec(as(key), 'true')).code === 0;
  const actionsOf = async (change: Partial<AccountSpec> = {}): Promise<unknown> => (await present(change)).details['actions'];

  it("are root's alone: whatever the tenant writes into its home lets nobody in", async () => {
    await present();
    const plant = `umask 077; cat > .ssh/authorized_keys; cp .ssh/authorized_keys .ssh/authorized_keys2; echo '+ +' | tee .shosts .rhosts;
      echo 'LC_ALL=C' > .ssh/environment; echo '${spec.username}' > .ssh/authorized_principals; echo 'any@REALM' > .k5login; cp -r .ssh /tmp/ssh`;
    await asTenant(as(bench.tenantKey), plant, { input: `${own.publicKey}\n` });
    expect(await opens(own)).toBe(false);
    expect(
      (
        await sshExec(
          as(bench.tenantKey),
          `echo '${own.publicKey}' >> /var/lib/orion/keys/${spec.username} || rm -f /var/lib/orion/keys/${spec.username}`,
        )
      ).code,
    ).not.toBe(0);
    expect((await sshExec(as(bench.tenantKey), 'ls /var/lib/orion/keys')).code).not.toBe(0);
    expect(await opens(own)).toBe(false);
    expect(await opens(bench.tenantKey)).toBe(true);
  }, 30_000);

  it('that are taken away open nothing, and their sessions end; programs of the tenant go on', async () => {
    await present({ publicKeys: [bench.tenantKey.publicKey, own.publicKey] });
    const session = await openSession(as(own));
    await asTenant(as(own), 'nohup sleep 602 >/dev/null 2>&1 &');
    expect(await actionsOf()).toEqual(['keys', 'sessions ended']);
    await eventually(() => !session.isOpen(), { what: 'the session ends' });
    expect(await opens(own)).toBe(false);
    expect(await root(`pgrep -u ${spec.username} -fx 'sleep 602'`)).not.toBe('');
    expect(await actionsOf()).toEqual([]);
  }, 30_000);

  it('end the sessions of an account that has lost one also when the run that took it away was cut short', async () => {
    await present();
    const session = await openSession(as(bench.tenantKey));
    await root(`: > /var/lib/orion/keys/${spec.username}.lost`);
    expect(await actionsOf()).toEqual(['sessions ended']);
    await eventually(() => !session.isOpen(), { what: 'the session ends' });
    expect(await root('ls /var/lib/orion/keys')).not.toContain('.lost');
  }, 30_000);

  it('ends sessions that the tenant has stopped, and those that have no shell', async () => {
    await present({ publicKeys: [bench.tenantKey.publicKey, own.publicKey] });
    const session = await openSession(as(own));
    await asTenant(as(bench.tenantKey), 'pkill -STOP -u $(id -u) -f "^sshd: .*@notty" --oldest');
    await present();
    await eventually(() => !session.isOpen(), { what: 'the session ends' });
    expect(await root(`pgrep -fc '^sshd: ${spec.username}' || :`)).toBe('0');
  }, 30_000);

  it('and the password of one that nobody may use are gone, and come back', async () => {
    const passwordHash = '$6$saltsaltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/';
    await present({ passwordHash });
    expect(await actionsOf({ publicKeys: [] })).toEqual(['keys', 'password', 'sessions ended']);
    expect(await opens(bench.tenantKey)).toBe(false);
    expect(await actionsOf({ passwordHash })).toEqual(['keys', 'password']);
    expect(await opens(bench.tenantKey)).toBe(true);
  }, 30_000);

  it('are moved out of the home of an account that an older release made, and back by one: either opens by its own keys alone', async () => {
    await present();
    const older = `gpasswd -d ${spec.username} orion-keys && rm /var/lib/orion/keys/${spec.username} && cd /home/${spec.username}/.ssh && cat > authorized_keys && chown ${spec.uid} authorized_keys`;
    await root(older, `${own.publicKey}\n`);
    expect([await opens(own), await opens(bench.tenantKey)]).toEqual([true, false]);
    expect(await actionsOf()).toEqual(['group', 'gshadow', 'keys']);
    expect([await opens(own), await opens(bench.tenantKey)]).toEqual([false, true]);
  }, 30_000);

  it('do not open an account that an agent holds or has ended, with PAM and without', async () => {
    await present();
    await root(`chage -E 1 ${spec.username}`);
    expect(await opens(bench.tenantKey)).toBe(false);
    await setPam('no');
    expect(await opens(bench.tenantKey)).toBe(false);
    await present();
    expect(await opens(bench.tenantKey)).toBe(true);
    await setPam('yes');
  }, 30_000);

  it('are removed by the wipe, and found by the verification, whosever they are', async () => {
    await present();
    await root(': > /var/lib/orion/keys/orn-forgotten');
    expect((await bench.provisioner.verifyClean(nodeOf(worker), [])).findings).toEqual(
      expect.arrayContaining([`path /var/lib/orion/keys/${spec.username}`, 'path /var/lib/orion/keys/orn-forgotten']),
    );
    await bench.provisioner.wipe(nodeOf(worker), [spec]);
    expect((await bench.provisioner.verifyClean(nodeOf(worker), [spec])).findings).toEqual([]);
  }, 60_000);
});

describe('sshd', () => {
  const { bench, worker } = useBench();
  let plain: string;
  const root = (command: string, input?: string): Promise<string> => asRoot(worker, command, input);
  const make = async (): Promise<AccountSpec> => {
    const spec = aSpec(bench.tenantKey);
    await bench.provisioner.ensurePresent(nodeOf(worker), spec);
    return spec;
  };
  const keysFileOf = ({ username }: AccountSpec): Promise<string> =>
    root(`sshd -T -C user=${username},host=h,addr=127.0.0.1,laddr=127.0.0.1,lport=22 | grep ^authorizedkeysfile`);
  const configure = (text: string): Promise<string> => root(`cat > ${SSHD_CONFIG} && rm -rf ${SSHD_CONFIG}.d`, text);
  const OURS = 'authorizedkeysfile /var/lib/orion/keys/%u';

  beforeAll(async () => {
    plain = `${await root(`cat ${SSHD_CONFIG}`)}\n`;
  }, 60_000);

  it('is told by a block before the first Match, once, and is not asked again while nothing changes', async () => {
    await configure(`${plain}Match User orn-*\n  AuthorizedKeysFile .ssh/theirs\n`);
    const spec = await make();
    const told = await root(`cat ${SSHD_CONFIG}`);
    expect(told).toContain('Match Group orion-keys');
    expect(await keysFileOf(spec)).toBe(OURS);
    expect((await sshExec(tenantOf(worker, spec.username, bench.tenantKey), 'true')).code).toBe(0);
    const noted = await root('stat -c "%i %z" /var/lib/orion/sshd');
    await make();
    expect(await root('stat -c "%i %z" /var/lib/orion/sshd')).toBe(noted);
    expect(await root(`cat ${SSHD_CONFIG}`)).toBe(told);
  }, 30_000);

  it('is told by a file of its own where the configuration includes such', async () => {
    await configure(`Include ${SSHD_CONFIG}.d/*.conf\n${plain}`);
    expect(await keysFileOf(await make())).toBe(OURS);
    expect(await root(`cat ${SSHD_CONFIG}`)).toBe(`Include ${SSHD_CONFIG}.d/*.conf\n${plain.trim()}`);
    expect(await root(`ls ${SSHD_CONFIG}.d`)).toBe('00-orion.conf');
  }, 30_000);

  it('is told again when somebody took it out, or put something else before it', async () => {
    await configure(plain);
    await make();
    await configure(plain);
    expect(await keysFileOf(await make())).toBe(OURS);
    await configure(`AuthorizedKeysCommand /bin/echo\nAuthorizedKeysCommandUser root\n${plain}`);
    expect(await root('cat /etc/ssh/sshd_config | grep -c Orion || :')).toBe('0');
    expect(await keysFileOf(await make())).toBe(OURS);
  }, 30_000);

  it('that cannot be told leaves the machine as it was, and without an account that anybody could open; the answer says what to write where', async () => {
    await configure(`Include ${SSHD_CONFIG}.d/*.conf\n${plain}`);
    await root(`mkdir ${SSHD_CONFIG}.d && printf 'Match User orn-*\\n AuthorizedKeysFile .ssh/theirs\\n' > ${SSHD_CONFIG}.d/00-first.conf`);
    const before = await root(`cat ${SSHD_CONFIG} ${SSHD_CONFIG}.d/*`);
    const spec = aSpec(bench.tenantKey);
    await expect(bench.provisioner.ensurePresent(nodeOf(worker), spec)).rejects.toMatchObject({
      failure: 'failed',
      message: expect.stringContaining('Put these lines into /etc/ssh/sshd_config'),
    });
    expect(await root(`cat ${SSHD_CONFIG} ${SSHD_CONFIG}.d/*`)).toBe(before);
    expect((await sshExec(tenantOf(worker, spec.username, bench.tenantKey), 'true')).code).not.toBe(0);
    await configure(plain);
    await bench.provisioner.ensurePresent(nodeOf(worker), spec);
    expect((await sshExec(tenantOf(worker, spec.username, bench.tenantKey), 'true')).code).toBe(0);
  }, 30_000);

  it('does not lose the connections that are open when it is told', async () => {
    await configure(plain);
    const spec = await make();
    const session = await openSession(tenantOf(worker, spec.username, bench.tenantKey));
    await configure(`# another\n${plain}`);
    await make();
    expect(session.isOpen()).toBe(true);
    session.close();
  }, 30_000);
});
