import { beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, generateSshKeyPair, launchWorkers, sshExec, type SshKeyPair, testConstants, type Worker } from '../../lab';
import { useForAll, useForEach, useLab } from '../../support/hooks';
import { agentFile, createFakeControlPlane, heartbeatAnswer, problem, registration } from './fake-control-plane';

// Everything here happens inside a worker of the test's own; the agent is the built file, sshd and the accounts are real.
describe('the agent on its node', () => {
  const lab = useLab();
  const control = useForEach(() => createFakeControlPlane(lab));
  let worker: Worker;
  const key = useForAll(() => generateSshKeyPair(lab.dir));
  const sh = async (command: string): Promise<string> => (await worker.exec(command)).stdout.trim();
  const managed = (...publicKeys: string[]): object => ({ management: { username: 'orion-mgmt', public_keys: publicKeys } });
  const login = async (user: string, pair: SshKeyPair, command = 'id -u'): Promise<string> =>
    (await sshExec({ ...worker, user, keyFile: pair.keyFile }, command)).stdout.trim();
  const agentLog = (): string => readFileSync(join(worker.logs, 'agent.log'), 'utf8');
  const authorizedKeys = (): Promise<string> => sh('cat /var/lib/orion/mgmt/.ssh/authorized_keys');

  beforeEach(async () => {
    control.reply('register', registration(managed(key.publicKey)));
    control.reply('heartbeat', heartbeatAnswer(managed(key.publicKey)));
    await control.open();
    const fleet = await launchWorkers(lab, 1, {
      endpoint: control.endpoint,
      agentEnv: { ...testConstants({ fenceGraceSeconds: 1 }), ORION_CONTROL_FINGERPRINT: control.fingerprint },
    });
    worker = fleet.workers[0] as Worker;
    await eventually(() => control.of('heartbeat').length > 0, { what: 'a heartbeat' });
  }, 60_000);

  /** As provisioning does it: an account with a key and a record; returns when a process of it runs. */
  const addAccount = async (username: string, uid: number, seconds: number): Promise<void> => {
    const command = `useradd -m -u ${uid} ${username} && install -d -m 700 -o ${uid} /home/${username}/.ssh &&
      echo '${key.publicKey}' > /home/${username}/.ssh/authorized_keys && chown ${uid} /home/${username}/.ssh/authorized_keys &&
      mkdir -p /var/lib/orion/accounts && echo "{\\"username\\": \\"${username}\\", \\"uid\\": ${uid}, \\"lease_id\\": 1, \\"generation\\": 1,
      \\"ends_at\\": $(($(date +%s) + ${seconds}))}" > /var/lib/orion/accounts/.new && mv /var/lib/orion/accounts/.new /var/lib/orion/accounts/${username}.json`;
    expect(await worker.exec(command)).toMatchObject({ code: 0, stderr: '' });
    expect(await login(username, key, 'nohup setsid sleep 1000 >/dev/null 2>&1 & id -u')).toBe(String(uid));
  };
  const processesOf = (uid: number): Promise<string> => sh(`ps -o pid= -U ${uid} || true`);
  const record = async (username: string): Promise<Record<string, unknown>> =>
    JSON.parse(await sh(`cat /var/lib/orion/accounts/${username}.json`)) as Record<string, unknown>;

  it('opens itself to the control plane by key alone', async () => {
    await eventually(async () => (await login('orion-mgmt', key)) === '0', { what: 'a login as root' });
    expect(await sh("stat -c '%U %a' /var/lib/orion/mgmt/.ssh/authorized_keys /var/lib/orion/mgmt")).toBe('root 600\nroot 700');
    expect(await sh('getent shadow orion-mgmt | cut -d: -f2')).toBe('*');
    expect(await authorizedKeys()).toMatch(/^restrict ssh-ed25519 \S+ orion$/);
  }, 30_000);

  it('follows a rotation of the keys, writes nothing while they stay, and repairs what was damaged', async () => {
    const inode = await sh('stat -c %i /var/lib/orion/mgmt/.ssh/authorized_keys');
    const seen = control.of('heartbeat').length;
    await eventually(() => control.of('heartbeat').length > seen + 2, { what: 'further heartbeats' });
    expect(await sh('stat -c %i /var/lib/orion/mgmt/.ssh/authorized_keys')).toBe(inode);

    const next = await generateSshKeyPair(lab.dir);
    control.reply('heartbeat', heartbeatAnswer(managed(next.publicKey)));
    await eventually(async () => (await login('orion-mgmt', next)) === '0', { what: 'a login with the new key' });
    expect((await sshExec({ ...worker, user: 'orion-mgmt', keyFile: key.keyFile }, 'true')).code).toBe(255);

    await sh('userdel -f orion-mgmt; rm -r /var/lib/orion/mgmt');
    await eventually(async () => (await login('orion-mgmt', next)) === '0', { what: 'the account again' });
  }, 30_000);

  it('installs no key with options, of two lines or for another account', async () => {
    const before = await authorizedKeys();
    const hostile = [
      managed(`command="touch /hacked" ${key.publicKey}`),
      managed(key.publicKey, `${key.publicKey}\nssh-rsa AAAA`),
      { management: { username: 'root', public_keys: [key.publicKey] } },
    ];
    control.once('heartbeat', ...hostile.map((answer) => heartbeatAnswer(answer)));
    const seen = control.of('heartbeat').length;
    await eventually(() => control.of('heartbeat').length > seen + 4, { what: 'the hostile answers' });
    expect(await authorizedKeys()).toBe(before);
    expect(agentLog()).toContain('no plain public key');
    expect(agentLog()).toContain('only orion-mgmt is accepted');
    expect(await sh('cat /root/.ssh/authorized_keys 2>/dev/null')).toBe('');
  }, 30_000);

  it('lets the control plane move the end of an account, and leaves its ending to it', async () => {
    await addAccount('orn-b', 20_002, 2);
    control.reply('heartbeat', heartbeatAnswer({ ...managed(key.publicKey), accounts: [{ username: 'orn-b', remaining_seconds: 900 }] }));
    const now = Number(await sh('date +%s'));
    await eventually(async () => Number((await record('orn-b')).ends_at) > now + 800, { what: 'the later end' });
    control.reply('heartbeat', heartbeatAnswer({ ...managed(key.publicKey), accounts: [{ username: 'orn-b', remaining_seconds: -60 }] }));
    await eventually(async () => Number((await record('orn-b')).ends_at) < now, { what: 'the end in the past' });
    const seen = control.of('heartbeat').length;
    await eventually(() => control.of('heartbeat').length > seen + 10, { what: 'heartbeats for longer than the grace' });
    expect(await processesOf(20_002)).not.toBe('');
    expect(control.of('heartbeat').at(-1)?.body).toMatchObject({ accounts: ['orn-b'], ended_accounts: [] });
  }, 60_000);

  it('ends an account by itself when its lease is over and the control plane is silent, not before, and tells of it later', async () => {
    await sh('mkdir -p -m 700 /root/.ssh && echo keep > /root/.ssh/authorized_keys');
    await addAccount('orn-a', 20_001, 6);
    await sh('mkdir -p /var/lib/orion/keys && touch /var/lib/orion/keys/orn-a /var/lib/orion/keys/orn-later');
    await addAccount('orn-later', 20_003, 600);
    await addAccount('orn-link', 20_004, 6);
    await sh('rm -r /home/orn-link/.ssh && ln -s /root/.ssh /home/orn-link/.ssh');
    const bomb = 'nohup setsid sh -c "trap : TERM HUP; while :; do sleep 0.01 & sleep 0.01; done" >/dev/null 2>&1 & echo on';
    expect(await login('orn-a', key, bomb)).toBe('on');
    const endsAt = Number((await record('orn-a')).ends_at);
    await control.shut();

    await eventually(async () => (await processesOf(20_001)) === '', { what: 'the end of its processes', timeoutMs: 30_000 });
    expect(Number(await sh('date +%s'))).toBeGreaterThan(endsAt);
    await eventually(async () => (await record('orn-a')).ended === true && (await record('orn-link')).ended === true, {
      what: 'the marks',
    });
    expect((await sshExec({ ...worker, user: 'orn-a', keyFile: key.keyFile }, 'true')).code).toBe(255);
    expect(await sh('getent shadow orn-a | cut -d: -f2,8')).toMatch(/^!.*:1$/);
    expect(await sh('ls /home/orn-a/.ssh')).toMatch(/^authorized_keys\.ended-[0-9a-f]+$/);
    expect(await sh('cat /root/.ssh/authorized_keys')).toBe('keep');
    expect(await sh('ls /var/lib/orion/keys')).toBe('orn-later');
    expect(await processesOf(20_003)).not.toBe('');
    expect(await login('orn-later', key)).toBe('20003');

    const seen = control.of('heartbeat').length;
    await control.open();
    await eventually(() => control.of('heartbeat').length > seen, { what: 'a heartbeat', timeoutMs: 40_000 });
    const told = control.of('heartbeat').at(-1)?.body.ended_accounts as string[];
    expect(told.sort()).toEqual(['orn-a', 'orn-link']);
  }, 120_000);

  it('removes its account and stays down when the node was retired', async () => {
    await eventually(() => sh('getent passwd orion-mgmt'), { what: 'the account' });
    control.reply('heartbeat', problem(410, { code: 'node_retired' }));
    await eventually(() => readFileSync(join(worker.logs, 'init.log'), 'utf8').includes('agent ended with 0'), {
      what: 'the end of the agent',
    });
    expect(await sh('getent passwd orion-mgmt; getent shadow orion-mgmt; ls /var/lib/orion/mgmt 2>/dev/null')).toBe('');
  }, 30_000);

  it('leaves nothing of itself on a node that leaves', async () => {
    control.once('leave', { left: false, status: 'draining', detail: 'wiping' });
    const { code } = await worker.exec(`env $(cat /etc/orion/agent.env) '${process.execPath}' '${agentFile}' leave`);
    expect(code).toBe(0);
    await eventually(() => readFileSync(join(worker.logs, 'init.log'), 'utf8').includes('agent ended with 0'), {
      what: 'the end of the agent',
    });
    // The fence is the sandbox's own, which begins with it.
    expect(
      await sh('getent passwd orion-mgmt; getent shadow orion-mgmt; find /var/lib/orion -mindepth 1 -not -path /var/lib/orion/fence'),
    ).toBe('');
  }, 30_000);
});
