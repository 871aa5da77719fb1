import { beforeEach, describe, expect, it } from '@jest/globals';
import { addKey, removeKey } from '../../../src/flows/accounts/manage-keys';
import { accessRule } from '../../../src/flows/placements/account-access';
import { claimPlacements, runPlacement } from '../../../src/flows/placements/run-placement';
import { findLease, refreshOutdatedAccounts } from '../../../src/modules/leases';
import type { WorkContext } from '../../../src/flows/support/context';
import { findUser, type User } from '../../../src/modules/accounts';
import { aLease, aNode, type TestLease } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { count, rows } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useForAll, useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import { aRequest, replicaOn } from '../rents/support';

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
const provisioner = createFakeProvisioner();
const ctx = useForAll(() => createTestContext(database.db, provisioner, { gatewayKey: 'ssh-ed25519 gateway' }));
const ada = useUser(database);
const admin = useUser(database, { role: 'admin' });
let lease: TestLease;

beforeEach(async () => {
  provisioner.reset();
  lease = await aLease(database.db, { userId: ada.id, nodeId: (await aNode(database.db)).id });
  await carryOut();
  provisioner.reset();
});

const isDue = async (): Promise<boolean> =>
  (await count(database.db, 'SELECT COUNT(*) FROM placements WHERE due_at <= UTC_TIMESTAMP(3) AND current_lease_id = ?', [lease.id])) === 1;
/** What a scheduler does with what is due and with what another release left behind; gives the keys of the last account that it made. */
async function carryOut(by = ctx): Promise<{ keys: string[] | undefined; passwordHash: string | null | undefined }> {
  await refreshOutdatedAccounts(database.db, accessRule(by.settings), 10);
  for (const claimed of await claimPlacements(by, 10)) {
    await runPlacement(by, claimed);
  }
  const { spec } = provisioner.calls.at(-1) ?? {};
  return { keys: spec?.publicKeys, passwordHash: spec?.passwordHash };
}
const eventsOf = async (user: User): Promise<[string, string][]> =>
  (
    await rows<{ type: string; actor: string }>(
      database.db,
      "SELECT type, actor FROM events WHERE user_id = ? AND type REGEXP '^(user|key)' ORDER BY id",
      [user.id],
    )
  ).map(({ type, actor }) => [type, actor]);
const change = (body: object, who = ada): Promise<{ status: number }> => api.call('patch', `/api/users/${who.id}`, { as: admin, body });

describe('the keys of running leases', () => {
  it("are the lease's own and those of the account as they are now; a change makes the account due, and is in the audit", async () => {
    const own = (await findLease(database.db, lease.id))?.publicKeys ?? [];
    const key = anSshKey();
    const { id } = await addKey(ctx, ada, { name: '', publicKey: key });
    expect(await isDue()).toBe(true);
    expect((await carryOut()).keys).toEqual([...own, key, 'ssh-ed25519 gateway']);
    expect(await isDue()).toBe(false);
    await removeKey(ctx, ada, id);
    expect((await carryOut()).keys).toEqual([...own, 'ssh-ed25519 gateway']);
    expect(await eventsOf(ada)).toEqual([
      ['key.added', `user:${ada.id}`],
      ['key.removed', `user:${ada.id}`],
    ]);
  });

  it("leave with the account's also where they were copied at the rent, by this release or an older one", async () => {
    const [own = ''] = (await findLease(database.db, lease.id))?.publicKeys ?? [];
    const { id } = await addKey(ctx, ada, { name: '', publicKey: own });
    await removeKey(ctx, ada, id);
    expect((await findLease(database.db, lease.id))?.publicKeys).toEqual([]);
    expect((await carryOut()).keys).toEqual(['ssh-ed25519 gateway']);
  });

  it('are brought up to date once more when they change while the account is in the making', async () => {
    const { id } = await addKey(ctx, ada, { name: '', publicKey: anSshKey() });
    provisioner.behave(async () => {
      provisioner.behave(() => undefined);
      await removeKey(ctx, ada, id);
    });
    await carryOut();
    expect(await isDue()).toBe(true);
    await carryOut();
    expect(await isDue()).toBe(false);
    expect(provisioner.calls.map(({ spec }) => spec?.publicKeys.length)).toEqual([3, 2]);
  });

  it.each([
    ['alone', 1],
    ['in a batch', 64],
  ])('are of the moment of the commit when a key was removed after the request had read it, and the rent comes %s', async (_, batchMax) => {
    await aNode(database.db);
    const key = anSshKey();
    const { id } = await addKey(ctx, ada, { name: '', publicKey: key });
    const asked = aRequest((await findUser(database.db, ada.id)) ?? ada, { publicKeys: [key], keyInRequest: null });
    await removeKey(ctx, ada, id);
    const { reserved } = await replicaOn(database.db, batchMax)(asked);
    expect(reserved.map(({ lease: made }) => made.publicKeys)).toEqual([[]]);
  });

  it.each([
    ['alone', 1],
    ['in a batch', 64],
  ])('are none of a user who was disabled after the request was let in: nothing is leased (%s)', async (_, batchMax) => {
    await aNode(database.db);
    await change({ disabled: true });
    await expect(replicaOn(database.db, batchMax)(aRequest(ada))).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('are none while the account is disabled, and no password either; both come back', async () => {
    await database.db.raw("UPDATE leases SET password_hash = '$6$hash'");
    expect((await change({ disabled: true, keep_leases: true })).status).toBe(200);
    expect(await carryOut()).toEqual({ keys: [], passwordHash: null });
    await change({ disabled: false });
    expect(await carryOut()).toMatchObject({ keys: [expect.any(String), 'ssh-ed25519 gateway'], passwordHash: '$6$hash' });
    expect(await eventsOf(ada)).toEqual([
      ['user.disabled', `admin:${admin.id}`],
      ['user.enabled', `admin:${admin.id}`],
    ]);
  });

  it.each([
    ['made the account', 'access_applied = 0, applied_ends_at = NULL'],
    ['moved its end', 'applied_ends_at = applied_ends_at - INTERVAL 1 HOUR'],
  ])('are applied by themselves where a release that knows nothing of it %s', async (_, how) => {
    expect(await refreshOutdatedAccounts(database.db, accessRule(ctx.settings), 10)).toBe(0);
    await database.db.raw(`UPDATE placements SET ${how}`);
    expect(await refreshOutdatedAccounts(database.db, accessRule(ctx.settings), 10)).toBe(1);
    await carryOut();
    expect(provisioner.calls).toHaveLength(1);
    expect(await refreshOutdatedAccounts(database.db, accessRule(ctx.settings), 10)).toBe(0);
  });
});

describe('accounts that admit the gateway alone', () => {
  const under = (gatewayOnly: boolean, gatewayKey = 'ssh-ed25519 gateway'): WorkContext => ({
    ...ctx,
    settings: { ...ctx.settings, gatewayKey, gatewayOnly },
  });
  const own = [expect.any(String), 'ssh-ed25519 gateway'];

  it('have neither the keys nor the password of their owner; existing ones follow the setting, once, in both directions', async () => {
    await database.db.raw("UPDATE leases SET password_hash = '$6$hash'");
    expect(await carryOut(under(true))).toEqual({ keys: ['ssh-ed25519 gateway'], passwordHash: null });
    await carryOut(under(true));
    expect(provisioner.calls).toHaveLength(1);
    expect(await carryOut(under(false))).toEqual({ keys: own, passwordHash: '$6$hash' });
    await carryOut(under(false));
    expect(provisioner.calls).toHaveLength(2);
  });

  it('and all others follow another key of the gateway', async () => {
    expect((await carryOut(under(true, 'ssh-ed25519 AAAA'))).keys).toEqual(['ssh-ed25519 AAAA']);
    expect((await carryOut(under(false, 'ssh-ed25519 BBBB'))).keys).toEqual([expect.any(String), 'ssh-ed25519 BBBB']);
  });

  it('are closed while their owner is disabled', async () => {
    await change({ disabled: true, keep_leases: true });
    expect(await carryOut(under(true))).toEqual({ keys: [], passwordHash: null });
  });
});

describe('tokens', () => {
  const me = async (token: string): Promise<number> => (await api.call('get', '/api/me', { as: token })).status;

  it.each([
    [
      'disabled, and enabled again',
      async () => {
        await change({ disabled: true });
        await change({ disabled: false });
      },
    ],
    [
      'demoted',
      async () => {
        await change({ role: 'admin' });
        await change({ role: 'user' });
      },
    ],
  ])('of a user who was %s are void; one of a moment later is good', async (_, happen) => {
    const before = api.tokenOf(ada);
    expect(await me(before)).toBe(200);
    await happen();
    expect(await me(before)).toBe(401);
    expect(await me(api.tokenOf(ada))).toBe(200);
  });

  it('stay good when nothing is taken away', async () => {
    const before = api.tokenOf(ada);
    await change({ max_leases: 7 });
    await change({ role: 'admin' });
    await change({ disabled: false });
    expect(await me(before)).toBe(200);
    expect(await eventsOf(ada)).toEqual([
      ['user.changed', `admin:${admin.id}`],
      ['user.changed', `admin:${admin.id}`],
    ]);
  });
});
