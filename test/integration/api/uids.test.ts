import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { fromJson } from '../../../src/db/sql';
import { claimPlacements, runPlacement } from '../../../src/flows/placements/run-placement';
import { claimWipes, wipeNode } from '../../../src/flows/placements/wipe-node';
import { StaleUidError, UidTakenError } from '../../../src/modules/provisioning';
import { aNode } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, row, rows } from '../../support/database';
import { aMachine, enrol } from '../../support/enrol';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { IssuedJoinToken, Lease, Rented } from '../../../src/contract';
import type { Reply } from '../../support/wire';

jest.setTimeout(60_000);

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
const user = useUser(database);
const admin = useUser(database, { role: 'admin' });
beforeEach(() => api.provisioner.reset());
beforeEach(() => database.db.raw('DELETE FROM uid_blocks'));

const rent = (): Promise<Reply<Rented>> =>
  api.call<Rented>('post', '/api/rent', { as: user, body: { duration_hours: 1, ssh_public_key: anSshKey() } });
const nodeAsAdmin = async (id: number): Promise<Record<string, unknown>> => {
  const { body } = await api.call<{ items: Record<string, unknown>[] }>('get', `/api/nodes?cursor=${id - 1}&limit=1`, { as: admin });
  return body.items[0] ?? {};
};
const order = (id: number, policy: string): Promise<Reply<unknown>> =>
  api.call('post', `/api/nodes/${id}/shared-storage`, { as: admin, body: { policy } });
async function wipeWhatIsDue(): Promise<number> {
  const ctx = createTestContext(database.db, api.provisioner);
  const claims = await claimWipes(ctx, 10);
  await Promise.all(claims.map((claim) => wipeNode(ctx, claim)));
  return claims.length;
}
/** A free node that has been wiped, with a block of uids. */
async function aWipedNode(cpus = 2): Promise<number> {
  const { id } = await aNode(database.db, { dirty: true, cpus });
  await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
  expect(await wipeWhatIsDue()).toBe(1);
  api.provisioner.calls.length = 0;
  return id;
}
/** The machine says of the first numbers that somebody has them. */
const refuse = (times: number, nodeId: number, jump = 1): void => {
  let left = times;
  api.provisioner.behave(({ verb, nodeId: at, spec }) => {
    if (verb === 'ensurePresent' && at === nodeId && left > 0) {
      left -= 1;
      throw new UidTakenError((spec?.uid ?? 0) + jump, `uid ${spec?.uid ?? 0} is not free here: the uid is that of ada`);
    }
  });
};
const uidsAsked = (): (number | undefined)[] =>
  api.provisioner.calls.filter(({ verb }) => verb === 'ensurePresent').map(({ spec }) => spec?.uid);

describe('a uid that the machine refuses', () => {
  it('is skipped and recorded; the rent goes on there with the next number, and the machine is not blamed', async () => {
    const id = await aWipedNode();
    refuse(2, id, 5);
    expect(await rent()).toMatchObject({ status: 201, body: { leases: [{ state: 'active', generation: 1, node: { id } }] } });
    expect(uidsAsked()).toEqual([70_016, 70_021, 70_026]);
    expect(await row(database.db, 'SELECT uid, state, attempts FROM placements')).toEqual({ uid: 70_026, state: 'present', attempts: 0 });
    expect(await row(database.db, 'SELECT next_uid, status, provision_failures FROM nodes WHERE id = ?', [id])).toEqual({
      next_uid: 70_027,
      status: 'alive',
      provision_failures: 0,
    });
    const events = await rows<{ data: unknown }>(database.db, "SELECT data FROM events WHERE type = 'uid.taken' ORDER BY id");
    expect(events.map(({ data }) => fromJson<unknown>(data))).toEqual([
      { uid: 70_016, why: expect.stringContaining('ada'), next: 70_021, generation: 1 },
      { uid: 70_021, why: expect.stringContaining('ada'), next: 70_026, generation: 1 },
    ]);
  });

  it('because its fence is ahead: the rent goes on there above the fence', async () => {
    const id = await aWipedNode();
    let refused = false;
    api.provisioner.behave(({ verb, spec }) => {
      const uid = spec?.uid ?? 0;
      if (verb === 'ensurePresent' && !refused) {
        refused = true;
        throw new StaleUidError(uid + 2, `uid ${uid} is stale: accounts up to ${uid + 2} were wiped here`);
      }
    });
    expect(await rent()).toMatchObject({ status: 201, body: { leases: [{ state: 'active', generation: 1, node: { id } }] } });
    expect(uidsAsked()).toEqual([70_016, 70_019]);
    expect(api.provisioner.calls.filter(({ verb }) => verb === 'ensurePresent').map(({ spec }) => spec?.alone)).toEqual([true, true]);
    expect(await row(database.db, 'SELECT status, provision_failures FROM nodes WHERE id = ?', [id])).toEqual({
      status: 'alive',
      provision_failures: 0,
    });
  });

  it('with more taken than its block has: the node gets another block behind them', async () => {
    const id = await aWipedNode();
    refuse(1, id, 65_536);
    expect((await rent()).status).toBe(201);
    expect(uidsAsked()).toEqual([70_016, 135_552]);
    expect(await row(database.db, 'SELECT uid_end FROM nodes WHERE id = ?', [id])).toEqual({ uid_end: 135_552 + 64 });
  });

  it('several times in a row: the lease goes elsewhere, its owner sees why, and no wipe touches what has the numbers', async () => {
    const [bad, good] = [await aWipedNode(1), await aWipedNode(2)];
    refuse(99, bad);
    expect(await rent()).toMatchObject({ status: 201, body: { leases: [{ state: 'active', generation: 2, node: { id: good } }] } });
    expect(uidsAsked()).toEqual([70_016, 70_017, 70_018, 70_019, 70_080]);
    expect(await nodeAsAdmin(bad)).toMatchObject({
      status: 'alive',
      provision_failures: 0,
      uid_refusal: expect.stringContaining('that of ada'),
    });
    api.provisioner.calls.length = 0;
    expect(await wipeWhatIsDue()).toBe(1);
    expect(api.provisioner.calls[0]?.accounts).toEqual([{ username: expect.any(String), uid: 70_019, unsure: true }]);
    refuse(0, bad);
    await rent();
    expect(await nodeAsAdmin(bad)).toMatchObject({ uid_refusal: null });
  });

  it('of an account that was there is a failure like others: it keeps its number', async () => {
    const id = await aWipedNode();
    await rent();
    refuse(1, id);
    await age(database.db, 'UPDATE placements SET due_at = UTC_TIMESTAMP(3)');
    const ctx = createTestContext(database.db, api.provisioner);
    for (const placement of await claimPlacements(ctx, 1)) {
      await runPlacement(ctx, placement);
    }
    expect(await row(database.db, 'SELECT uid, state, last_error FROM placements')).toEqual({
      uid: 70_016,
      state: 'present',
      last_error: expect.stringContaining('ada'),
    });
  });
});

describe('shared storage', () => {
  const LINES = ['nfs4 /scratch', 'fuse.sshfs /mnt/a b'];
  const SHOWN = [
    { path: '/mnt/a b', type: 'fuse.sshfs' },
    { path: '/scratch', type: 'nfs4' },
  ];

  it('is shown to operators and to tenants, and does not keep a node from being leased unless its policy says so', async () => {
    api.provisioner.share(LINES);
    const id = await aWipedNode();
    expect(await nodeAsAdmin(id)).toMatchObject({ free: true, not_examined: SHOWN, shared_storage: 'allow', withheld_reason: null });
    const { body } = await rent();
    expect((await api.call<Lease>('get', `/api/leases/${body.leases[0]?.id ?? 0}`, { as: user })).body).toMatchObject({
      shared_storage: SHOWN,
    });
    expect((await api.call<{ items: object[] }>('get', '/api/nodes', { as: user })).body.items[0]).not.toHaveProperty('not_examined');

    expect(await order(id, 'refuse')).toMatchObject({ status: 200, body: { shared_storage: 'refuse', lease_id: body.leases[0]?.id } });
    await api.call('post', '/api/release', { as: user, body: { lease_id: body.leases[0]?.id } });
    await wipeWhatIsDue();
    const reason = 'it has shared storage, which its policy refuses: /mnt/a b (fuse.sshfs), /scratch (nfs4)';
    expect(await nodeAsAdmin(id)).toMatchObject({ free: false, status: 'alive', withheld_reason: reason });
    expect(await row(database.db, 'SELECT state FROM leases')).toEqual({ state: 'ended' });
    expect((await rent()).status).toBe(503);

    await order(id, 'allow');
    expect(await wipeWhatIsDue()).toBe(1);
    expect(await nodeAsAdmin(id)).toMatchObject({ free: true, withheld_reason: null });
    const events = await rows<{ type: string; actor: string }>(
      database.db,
      "SELECT type, actor FROM events WHERE type IN ('node.shared_storage', 'node.withheld') ORDER BY id",
    );
    expect(events.map(({ type }) => type)).toEqual(['node.shared_storage', 'node.withheld', 'node.shared_storage']);
    expect(events[0]?.actor).toBe(`admin:${admin.id}`);
  });

  it('that is refused takes a free node out at once, which is looked at again until the storage is gone', async () => {
    api.provisioner.share(LINES);
    const id = await aWipedNode();
    await order(id, 'refuse');
    expect(await nodeAsAdmin(id)).toMatchObject({ free: false });
    for (let n = 0; n < 3; n += 1) {
      expect(await wipeWhatIsDue()).toBe(1);
      await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3)');
    }
    expect(await rows(database.db, "SELECT id FROM events WHERE type = 'node.withheld'")).toHaveLength(1);
    api.provisioner.share([]);
    expect(await wipeWhatIsDue()).toBe(1);
    expect(await nodeAsAdmin(id)).toMatchObject({ free: true, not_examined: [], shared_storage: 'refuse' });
  });

  it('that holds the homes keeps the machine out whatever the policy', async () => {
    api.provisioner.share(['nfs4 /home'], 'nfs4');
    const { id } = await aNode(database.db, { dirty: true });
    await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
    await wipeWhatIsDue();
    expect(await nodeAsAdmin(id)).toMatchObject({
      free: false,
      withheld_reason: expect.stringMatching(/^\/home lies on a file system of type nfs4: .*give the machine a local \/home$/),
    });
  });

  it('is decided by operators alone, in one of two words', async () => {
    const { id } = await aNode(database.db);
    expect((await order(id, 'perhaps')).status).toBe(400);
    expect((await order(id + 1, 'refuse')).status).toBe(404);
    expect((await api.call('post', `/api/nodes/${id}/shared-storage`, { as: user, body: { policy: 'refuse' } })).status).toBe(403);
  });
});

describe('a range of uids that a machine must use', () => {
  it('is registered, shown, and what its blocks come from', async () => {
    const token = (await api.call<IssuedJoinToken>('post', '/api/tokens', { as: admin, body: { name: 'lab', max_uses: 9 } })).body.token;
    const machine = aMachine({ uid_range: '300000-300999' });
    const { body } = await enrol(api, machine, { joinToken: token });
    await age(database.db, "UPDATE nodes SET status = 'alive', wipe_due_at = UTC_TIMESTAMP(3) WHERE id = ?", [body.node_id]);
    await wipeWhatIsDue();
    expect(await nodeAsAdmin(body.node_id)).toMatchObject({ uid_range: '300000-300999', free: true });
    expect(await row(database.db, 'SELECT next_uid, uid_end FROM nodes')).toEqual({ next_uid: 300_032, uid_end: 300_096 });
    await enrol(api, { ...machine, uid_range: undefined }, { credential: body.credential ?? '' });
    expect(await nodeAsAdmin(body.node_id)).toMatchObject({ uid_range: null });
    for (const range of ['300000', '999-70000', '70000-70126', '2000000000-2000000500', '9-1', '1e5-2e5']) {
      expect((await enrol(api, aMachine({ uid_range: range }), { joinToken: token })).status).toBe(400);
    }
  });
});
