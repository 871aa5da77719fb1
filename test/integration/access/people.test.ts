import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Page, User as UserJson } from '../../../src/contract';
import { addKey } from '../../../src/flows/accounts/manage-keys';
import type { WorkContext } from '../../../src/flows/support/context';
import { createLeaseDirectory } from '../../../src/flows/leases/lease-directory';
import type { User } from '../../../src/modules/accounts';
import { startTestApi, type TestApi } from '../../support/api';
import { aLease, aNode, aUser, type TestLease } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { count, openTestDatabase, row, type TestDatabase } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { anSshKey } from '../../support/keys';
import { aRequest, replicaOn } from '../rents/support';

jest.setTimeout(60_000);

let database: TestDatabase;
let api: TestApi;
let ctx: WorkContext;
let ada: User;
let admin: User;
let lease: TestLease;
beforeAll(async () => {
  database = await openTestDatabase();
  api = await startTestApi(database.db);
  ctx = createTestContext(database.db, createFakeProvisioner());
}, 60_000);
afterAll(async () => {
  await api.close();
  await database.close();
});
beforeEach(async () => {
  await database.reset();
  ada = await aUser(database.db);
  admin = await aUser(database.db, { role: 'admin' });
  lease = await aLease(database.db, { userId: ada.id, nodeId: (await aNode(database.db)).id });
});

const disable = (body: object = {}): Promise<{ status: number }> =>
  api.call('patch', `/api/users/${ada.username}`, { as: admin, body: { disabled: true, ...body } });
const remove = (query = ''): Promise<{ status: number; body: unknown }> =>
  api.call('delete', `/api/users/${ada.username}${query}`, { as: admin });
const stateOfLease = async (): Promise<string> =>
  (await row<{ state: string }>(database.db, 'SELECT state FROM leases WHERE id = ?', [lease.id])).state;
const wiping = (): Promise<number> => count(database.db, "SELECT COUNT(*) FROM placements WHERE state = 'wiping'");
const nodeIsDirty = (): Promise<number> =>
  count(database.db, 'SELECT COUNT(*) FROM nodes WHERE id = ? AND dirty AND lease_id IS NULL AND wipe_due_at <= UTC_TIMESTAMP(3)', [
    lease.nodeId,
  ]);

describe.each([
  ['disabled', disable, { keep_leases: true }],
  ['deleted', remove, '?keep_leases=true'],
] as const)('a user who is %s', (_, act, keep) => {
  it('has no token, no key and no lease from then on: its account is to be wiped at once', async () => {
    await addKey(ctx, ada, { name: '', publicKey: anSshKey() });
    const token = api.tokenOf(ada);
    expect((await act()).status).toBe(200);
    expect((await api.call('get', '/api/me', { as: token })).status).toBe(401);
    expect([await stateOfLease(), await wiping(), await nodeIsDirty()]).toEqual(['ending', 1, 1]);
    expect(await createLeaseDirectory(ctx).keysOf(lease.id)).toEqual([]);
    expect(
      await row(database.db, "SELECT actor, user_id, JSON_VALUE(data, '$.reason') AS reason FROM events WHERE type = 'lease.ending'"),
    ).toEqual({ actor: `admin:${admin.id}`, user_id: ada.id, reason: 'revoked' });
  });

  it('keeps leases that the operator keeps, and nobody logs in to them', async () => {
    expect((await act(keep as never)).status).toBe(200);
    expect(await stateOfLease()).toBe('active');
    expect(await createLeaseDirectory(ctx).keysOf(lease.id)).toEqual([]);
    expect(await count(database.db, 'SELECT COUNT(*) FROM placements WHERE access_wanted > access_applied OR due_at IS NOT NULL')).toBe(1);
  });

  it('gets no lease by a rent that was let in before', async () => {
    await aNode(database.db);
    await act();
    await expect(replicaOn(database.db, 1)(aRequest(ada))).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('a disabled user', () => {
  it('keeps kept leases when its limits change, and loses them by a later order', async () => {
    await disable({ keep_leases: true });
    await api.call('patch', `/api/users/${ada.id}`, { as: admin, body: { max_leases: 3 } });
    expect(await stateOfLease()).toBe('active');
    await disable();
    expect(await stateOfLease()).toBe('ending');
  });
});

describe('a deleted user', () => {
  it('keeps its history and its name, leaves the list, and stays deleted', async () => {
    expect((await remove()).body).toMatchObject({ username: ada.username, disabled: true, deleted_at: expect.any(String) });
    expect((await api.call<Page<UserJson>>('get', '/api/users', { as: admin })).body.items.map(({ id }) => id)).toEqual([admin.id]);
    expect((await api.call('get', `/api/users/${ada.username}`, { as: admin })).status).toBe(200);
    expect(
      (await api.call<Page<{ user_id: number }>>('get', `/api/audit?user=${ada.username}`, { as: admin })).body.items.length,
    ).toBeGreaterThan(0);
    expect((await api.call('post', '/api/users', { as: admin, body: { username: ada.username } })).status).toBe(409);
    expect((await api.call('patch', `/api/users/${ada.id}`, { as: admin, body: { disabled: false } })).status).toBe(409);
    expect((await api.call('post', `/api/users/${ada.id}/reset-password`, { as: admin })).status).toBe(409);
  });

  it('is deleted once: repeating the order changes nothing', async () => {
    await remove();
    expect((await remove()).status).toBe(200);
    expect(await count(database.db, "SELECT COUNT(*) FROM events WHERE type = 'user.deleted'")).toBe(1);
  });

  it('is not the admin who gives the order, and must exist', async () => {
    expect((await api.call('delete', `/api/users/${admin.username}`, { as: admin })).status).toBe(409);
    expect((await api.call('delete', '/api/users/nobody', { as: admin })).status).toBe(404);
  });
});
