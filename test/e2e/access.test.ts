import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, generateSshKeyPair, sshExec, type SshKeyPair, type SshTarget } from '../lab';
import type { Lease } from '../../src/contract';
import { expectStatus } from '../support/api-client';
import { throughGateway } from '../support/gateway-client';
import { useFleet, useForAll, useForEach, useGateway, useSystem } from '../support/hooks';
import { openSession, type OpenSession } from '../support/tenant';
import { inside, workerOf } from './support/inside';

/** What was promised: a right that was taken away opens nothing after this time. */
const LIMIT_MS = 5_000;

describe('access ends with its right', () => {
  const system = useSystem({ apis: 1, schedulers: 1, gateway: true });
  const gateway = useGateway(system);
  const fleet = useFleet(system, 1);
  const ada = useForEach(() => system.tenant());
  let lease: Lease;
  const second = useForAll(() => generateSshKeyPair(system.lab.dir));
  const sessions: OpenSession[] = [];

  const directly = ({ keyFile }: { keyFile: string }): SshTarget => {
    const { host, port, username, host_key: hostKey } = lease.access ?? neverMade();
    return { address: host, port, user: username, hostKey, keyFile };
  };
  const byGateway = (key: { keyFile: string }): SshTarget => throughGateway(key, lease, gateway);
  const opens = async (target: SshTarget): Promise<boolean> => (await sshExec(target, 'true')).code === 0;
  const within = (what: string, fn: () => Promise<boolean> | boolean): Promise<unknown> =>
    eventually(fn, { what, timeoutMs: LIMIT_MS, everyMs: 100 });
  const session = async (target: SshTarget): Promise<OpenSession> => {
    const opened = await openSession(target);
    sessions.push(opened);
    return opened;
  };
  const register = async ({ publicKey }: SshKeyPair): Promise<number> =>
    expectStatus(await ada.client.post<{ id: number }>('/api/keys', { public_key: publicKey }), 201).id;
  const remove = async (id: number): Promise<void> => void expectStatus(await ada.client.delete(`/api/keys/${id}`), 204);
  const disable = async (disabled: boolean): Promise<void> =>
    void expectStatus(await system.admin.patch(`/api/users/${ada.userId}`, { disabled, keep_leases: disabled }), 200);

  beforeEach(async () => {
    sessions.splice(0).forEach((opened) => opened.close());
    await system.untilFree(1, 60_000);
    lease = await ada.rentOne();
  }, 90_000);
  afterEach(async () => {
    expectStatus(await system.admin.post('/api/release', { lease_id: lease.id }), 200);
  });

  it('a key that was added opens a running lease, and one that was removed opens it no longer, and its sessions end, directly and through the gateway', async () => {
    const id = await register(second);
    await within('the new key opens the account', () => opens(directly(second)));
    const open = [await session(directly(second)), await session(byGateway(second))];
    await sshExec(directly(second), 'nohup sleep 600 >/dev/null 2>&1 &');

    await remove(id);

    await within('the session by the gateway is cut', () => !open[1]?.isOpen());
    await within('the direct session is cut', () => !open[0]?.isOpen());
    expect(await opens(byGateway(second))).toBe(false);
    expect(await opens(directly(second))).toBe(false);
    expect(await opens(directly(ada))).toBe(true);
    expect(await opens(byGateway(ada))).toBe(true);
    expect(await inside(workerOf(fleet, lease), `pgrep -u ${lease.access?.username ?? ''} -fx 'sleep 600'`)).not.toBe('');
  }, 60_000);

  it('a key that was registered when the lease began, or given with the rent, opens nothing either once the account has lost it', async () => {
    const id = await register({ keyFile: ada.keyFile, publicKey: ada.publicKey });
    await within(
      'the account is up to date',
      async () =>
        (await system.sql('SELECT id FROM placements WHERE access_applied < access_wanted AND current_lease_id IS NOT NULL')).length === 0,
    );
    await remove(id);
    await within('it opens nothing', async () => !(await opens(directly(ada))));
    expect(await opens(byGateway(ada))).toBe(false);
    expect(await system.sql("SELECT type FROM events WHERE user_id = ? AND type LIKE 'key.%' ORDER BY id", [ada.userId])).toEqual([
      { type: 'key.added' },
      { type: 'key.removed' },
    ]);
  }, 60_000);

  it('a disabled account: no call, no login, no session; its programs go on; enabled again it has its access back, and the tokens of before stay void', async () => {
    const open = [await session(directly(ada)), await session(byGateway(ada))];
    await sshExec(directly(ada), 'nohup sleep 601 >/dev/null 2>&1 &');

    await disable(true);

    expect((await ada.client.get('/api/leases')).status).toBe(401);
    await within('the session by the gateway is cut', () => !open[1]?.isOpen());
    await within('the direct session is cut', () => !open[0]?.isOpen());
    expect(await opens(directly(ada))).toBe(false);
    expect(await opens(byGateway(ada))).toBe(false);
    expect(await inside(workerOf(fleet, lease), `pgrep -u ${lease.access?.username ?? ''} -fx 'sleep 601'`)).not.toBe('');

    await disable(false);

    await within('the key opens the account again', () => opens(directly(ada)));
    expect(await opens(byGateway(ada))).toBe(true);
    expect((await ada.client.get('/api/leases')).status).toBe(401);
    expect(
      await system.sql("SELECT type FROM events WHERE user_id = ? AND type IN ('user.disabled', 'user.enabled') ORDER BY id", [ada.userId]),
    ).toEqual([{ type: 'user.disabled' }, { type: 'user.enabled' }]);
  }, 60_000);

  it('an account that a release from before made, with its keys in the home, is brought up to date by itself', async () => {
    const worker = workerOf(fleet, lease);
    const name = lease.access?.username ?? '';
    await inside(
      worker,
      `gpasswd -d ${name} orion-keys && cd /home/${name}/.ssh && cp /var/lib/orion/keys/${name} authorized_keys && chown ${name} authorized_keys && rm /var/lib/orion/keys/${name}`,
    );
    await system.sql('UPDATE placements SET access_applied = 0, applied_ends_at = NULL WHERE current_lease_id = ?', [lease.id]);
    expect(await opens(directly(ada))).toBe(true);
    await eventually(async () => (await worker.exec(`test -s /var/lib/orion/keys/${name}`)).code === 0, {
      what: "its keys are root's",
      timeoutMs: 20_000,
      everyMs: 200,
    });
    await sshExec(directly(ada), 'cat > .ssh/authorized_keys', { input: `${second.publicKey}\n` });
    expect([await opens(directly(ada)), await opens(directly(second))]).toEqual([true, false]);
  }, 60_000);
});

function neverMade(): never {
  throw new Error('the lease has no access');
}
