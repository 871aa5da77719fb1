import { beforeEach, describe, expect, it } from '@jest/globals';
import type { User } from '../../../src/modules/accounts';
import { eventually } from '../../lab';
import { aLease, aNode, aUser, severalNodes } from '../../support/builders';
import { startTestApi, type TestApi } from '../../support/api';
import { count, row, rows } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { Lease, Rented } from '../../../src/contract';
import type { Reply } from '../../support/wire';

const database = useTestDatabase({ resetEach: true });
const provisioner = createFakeProvisioner();
const api = useTestApi(database, { provisioner });
const replica = useTestApi(database, { provisioner, ownPool: true });
beforeEach(() => provisioner.reset());
const user = useUser(database);

const wish = { duration_hours: 2, ssh_public_key: anSshKey() };
const rent = (body: object, { by = user, key, on = api }: { by?: User; key?: string; on?: TestApi } = {}): Promise<Reply<Rented>> =>
  on.call<Rented>('post', '/api/rent', { as: by, body, headers: key === undefined ? {} : { 'Idempotency-Key': key } });
const firstLease = ({ body }: Reply<Rented>): Lease => {
  const [lease] = body.leases;
  if (!lease) {
    throw new Error(`no lease: ${JSON.stringify(body)}`);
  }
  return lease;
};
const occupied = (): Promise<number> => count(database.db, 'SELECT COUNT(*) FROM nodes WHERE lease_id IS NOT NULL');

describe('renting', () => {
  it('R11: gives the access to a node, by the client id and the duration that the documents name', async () => {
    const node = await aNode(database.db);
    const answer = await rent({ client_id: user.id, duration_hours: 2, count: 1, ssh_public_key: `${wish.ssh_public_key} me@home` });
    expect(answer.status).toBe(201);
    expect(answer.headers['cache-control']).toBe('no-store');
    const lease = firstLease(answer);
    expect(lease).toMatchObject({
      state: 'active',
      client_id: user.id,
      generation: 1,
      node: { id: node.id, status: 'alive' },
      end_reason: null,
    });
    const { access } = lease;
    expect(access).toMatchObject({ host: '127.0.0.1', port: 22, host_key: node.hostKey, known_hosts: `127.0.0.1 ${node.hostKey}` });
    expect(access?.username).toMatch(/^orn-[a-z0-9]{10}$/);
    expect(access?.username).not.toContain(user.username);
    expect(access?.command).toBe(`ssh -p 22 ${access?.username ?? ''}@127.0.0.1`);
    expect(api.provisioner.accountsOn(node.id)).toEqual([access?.username]);
    expect(api.provisioner.calls[0]?.spec).toMatchObject({
      publicKeys: [wish.ssh_public_key],
      passwordHash: null,
      uid: 70_000,
      generation: 1,
    });
    expect(api.provisioner.calls[0]?.spec?.remainingSeconds).toBeGreaterThan(7190);
    expect(answer.body.password).toBeNull();
  });

  it('names the gateway alone where accounts admit nothing else, and refuses a password, which opens nothing there', async () => {
    await aNode(database.db);
    const hostKeys = ['ssh-ed25519 AAAA'];
    const through = await startTestApi(database.db, {
      provisioner: api.provisioner,
      settings: { gateway: { host: 'gate.example', port: 2222, hostKeys, only: true } },
    });
    const refused = await rent({ ...wish, with_password: true }, { on: through });
    expect(refused).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('through the gateway, which takes no passwords') },
    });
    const lease = firstLease(await rent(wish, { on: through }));
    expect(lease).toMatchObject({ state: 'active', gateway: { username: `lease-${lease.id}` } });
    expect(lease.access).toEqual({ ...lease.gateway, host_key_fingerprint: expect.stringMatching(/^SHA256:/) });
    await through.close();
  });

  it('R11, I4: the end of the lease comes from the clock of the database', async () => {
    await aNode(database.db);
    const { id, ends_at } = firstLease(await rent({ ...wish, duration_hours: undefined, duration_minutes: 90 }));
    const stored = await row<{ seconds: number; ends_at: Date }>(
      database.db,
      'SELECT TIMESTAMPDIFF(SECOND, created_at, ends_at) AS seconds, ends_at FROM leases WHERE id = ?',
      [id],
    );
    expect(stored.seconds).toBe(5400);
    expect(ends_at).toBe(stored.ends_at.toISOString());
  });

  it('R11: without a key of its own a rent takes those of the account; without any it says what to do', async () => {
    await aNode(database.db);
    expect(await rent({ duration_hours: 1 })).toMatchObject({ status: 422, body: { code: 'public_key_missing' } });
    const keys = [anSshKey(), anSshKey()];
    for (const public_key of keys) {
      await api.call('post', '/api/keys', { as: user, body: { public_key } });
    }
    expect((await rent({ duration_hours: 1 })).status).toBe(201);
    expect(api.provisioner.calls[0]?.spec?.publicKeys).toEqual(keys);
  });

  it('R44: a password is shown once, and only its hash is stored and sent to the node', async () => {
    await aNode(database.db);
    const answer = await rent({ duration_hours: 1, with_password: true }, { key: 'once' });
    const password = answer.body.password ?? '';
    expect(password).toMatch(/^[a-z0-9]{20}$/);
    const { password_hash } = await row<{ password_hash: string }>(database.db, 'SELECT password_hash FROM leases');
    expect(password_hash).toMatch(/^\$6\$/);
    expect(api.provisioner.calls[0]?.spec?.passwordHash).toBe(password_hash);
    const everything = JSON.stringify([
      await rows(database.db, 'SELECT * FROM leases'),
      await rows(database.db, 'SELECT * FROM events'),
      await rows(database.db, 'SELECT * FROM placements'),
    ]);
    expect(everything).not.toContain(password);
    expect((await rent({ duration_hours: 1, with_password: true }, { key: 'once' })).body.password).toBeNull();
  });

  it('R11: several at once are all or nothing', async () => {
    await severalNodes(database.db, 3);
    expect(await rent({ ...wish, count: 4 })).toMatchObject({ status: 503, body: { code: 'no_node_free' } });
    expect(await occupied()).toBe(0);
    const both = await rent({ ...wish, count: 2 });
    expect(both.status).toBe(201);
    expect(new Set(both.body.leases.map(({ node }) => node?.id)).size).toBe(2);
  });

  it('R5: takes the tightest node that satisfies what was asked for', async () => {
    await aNode(database.db, { cpus: 16, memoryMb: 65_536, labels: { zone: 'edge' } });
    const fitting = await aNode(database.db, { cpus: 4, memoryMb: 8192, labels: { zone: 'edge', gpu: 'a/b' } });
    await aNode(database.db, { cpus: 1, memoryMb: 512, labels: { zone: 'edge' } });
    const requirements = { cpus: 2, memory_mb: 4096, labels: { zone: 'edge' } };
    expect(firstLease(await rent({ ...wish, requirements })).node?.id).toBe(fitting.id);
    expect(firstLease(await rent({ ...wish, requirements })).requirements).toEqual(requirements);
    expect(await rent({ ...wish, requirements })).toMatchObject({ status: 503, body: { could_be_satisfied: true } });
  });

  it('R5: labels are compared exactly, and one that no machine has is said to be hopeless', async () => {
    await aNode(database.db, { labels: { zone: 'LAB' } });
    expect(await rent({ ...wish, requirements: { labels: { zone: 'lab' } } })).toMatchObject({
      status: 503,
      body: { code: 'no_node_free', could_be_satisfied: false },
    });
  });

  it('I5: a node that is not alive, drained, dirty or occupied is never leased', async () => {
    await Promise.all(
      (['pending', 'unknown', 'suspect', 'dead', 'quarantined', 'retired'] as const).map((status) => aNode(database.db, { status })),
    );
    await aNode(database.db, { drained: true });
    await aNode(database.db, { dirty: true });
    await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    expect(await rent(wish)).toMatchObject({ status: 503, body: { code: 'no_node_free', could_be_satisfied: true } });
  });

  it('R12: with no node free it says when to come back', async () => {
    const lease = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    const answer = await rent(wish);
    expect(answer).toMatchObject({ status: 503, body: { code: 'no_node_free' } });
    const { ends_at } = await row<{ ends_at: Date }>(database.db, 'SELECT ends_at FROM leases WHERE id = ?', [lease.id]);
    expect(answer.body.next_lease_ends_at).toBe(ends_at.toISOString());
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(3500);
    expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(3600);
  });

  it('R11: an admin may rent for another; a user may not', async () => {
    await severalNodes(database.db, 3);
    const admin = await aUser(database.db, { role: 'admin' });
    expect(firstLease(await rent({ ...wish, client_id: user.id }, { by: admin })).client_id).toBe(user.id);
    expect(firstLease(await rent({ ...wish, client_id: user.username }, { by: admin })).client_id).toBe(user.id);
    expect(await rent({ ...wish, client_id: admin.id })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect((await rent({ ...wish, client_id: 'nobody' }, { by: admin })).status).toBe(404);
    expect(firstLease(await rent({ ...wish, client_id: user.username })).client_id).toBe(user.id);
  });

  it('R11: quotas hold for the number of leases and for their length', async () => {
    await severalNodes(database.db, 4);
    const modest = await aUser(database.db, { maxLeases: 2, maxLeaseHours: 3 });
    expect(await rent({ ...wish, duration_hours: 3.1 }, { by: modest })).toMatchObject({
      status: 422,
      body: { code: 'duration_too_long', max_lease_hours: 3 },
    });
    expect(await rent({ ...wish, count: 3 }, { by: modest })).toMatchObject({ status: 422, body: { code: 'quota_exceeded' } });
    const answers = await Promise.all([1, 2, 3, 4].map((n) => rent(wish, { by: modest, on: n % 2 ? api : replica })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 422, 422]);
  });

  it.each([
    { duration_hours: 0 },
    { duration_hours: -1 },
    { duration_hours: 1e308 },
    { duration_hours: '5' },
    { duration_hours: null },
    { duration_hours: 1, duration_minutes: 1 },
    {},
    { duration_minutes: 0.5 },
    { duration_hours: 1, count: 0 },
    { duration_hours: 1, count: 1.5 },
    { duration_hours: 1, count: 101 },
    { duration_hours: 1, extra: true },
    { duration_hours: 1, requirements: { labels: { 'a"b': 'c' } } },
    { duration_hours: 1, requirements: { cpus: -1 } },
    { duration_hours: 1, client_id: {} },
    { duration_hours: 1, ssh_public_key: 'no-pty ssh-ed25519 AAAA' },
  ])('R11: refuses %j', async (body) => {
    await aNode(database.db);
    expect(await rent({ ssh_public_key: wish.ssh_public_key, ...body })).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(await occupied()).toBe(0);
  });
});

describe('repeating a rent', () => {
  it('I3: one key stands for one rent, on any replica', async () => {
    await severalNodes(database.db, 3);
    const first = await rent(wish, { key: 'k1' });
    const again = await rent(wish, { key: 'k1', on: replica });
    expect(again.status).toBe(200);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.body.leases.map(({ id }) => id)).toEqual(first.body.leases.map(({ id }) => id));
    expect(await rent({ ...wish, duration_hours: 3 }, { key: 'k1' })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    });
    expect(firstLease(await rent(wish, { key: 'k2' })).id).not.toBe(firstLease(first).id);
  });

  it('I3: a repetition finds its lease although the keys of the account have changed since', async () => {
    await aNode(database.db);
    const [before, after] = [anSshKey(), anSshKey()];
    await api.call('post', '/api/keys', { as: user, body: { public_key: before } });
    const first = await rent({ duration_hours: 2 }, { key: 'a' });
    await api.call('post', '/api/keys', { as: user, body: { public_key: after } });
    const again = await rent({ duration_hours: 2 }, { key: 'a' });
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(firstLease(again).id).toBe(firstLease(first).id);
  });

  it('I3: keys belong to their user', async () => {
    await severalNodes(database.db, 2);
    const other = await aUser(database.db);
    const [mine, theirs] = [await rent(wish, { key: 'same' }), await rent(wish, { key: 'same', by: other })];
    expect(theirs.status).toBe(201);
    expect(firstLease(theirs).id).not.toBe(firstLease(mine).id);
  });

  it('I3: fifty at once with one key, over two replicas, make one lease', async () => {
    await severalNodes(database.db, 10);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => rent(wish, { key: 'storm', on: n % 2 ? api : replica })));
    expect(new Set(answers.map((answer) => firstLease(answer).id)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.every(({ status }) => [200, 201].includes(status))).toBe(true);
    expect(await occupied()).toBe(1);
  }, 20_000);

  it.each(['', 'a b', 'x'.repeat(129), 'é'])('I3: refuses the key %j', async (key) => {
    // Header values are latin1 on the wire.
    expect((await rent(wish, { key: Buffer.from(key).toString('latin1') })).status).toBe(400);
  });

  it('R13: sixty rents at once over two replicas never get one node twice, and nobody fails while nodes are free', async () => {
    await severalNodes(database.db, 20);
    const users = await Promise.all(Array.from({ length: 60 }, () => aUser(database.db)));
    const answers = await Promise.all(users.map((by, n) => rent(wish, { by, on: n % 2 ? api : replica })));
    const nodes = answers.filter(({ status }) => status === 201).map((answer) => firstLease(answer).node?.id);
    expect(nodes).toHaveLength(20);
    expect(new Set(nodes).size).toBe(20);
    expect(answers.filter(({ status }) => status === 503)).toHaveLength(40);
  }, 20_000);
});

describe('when a node cannot make the account', () => {
  it('R11: the lease moves to another node within the same request', async () => {
    const [bad, good] = [await aNode(database.db, { cpus: 1 }), await aNode(database.db, { cpus: 2 })];
    api.provisioner.fail('unreachable', { nodes: [bad.id] });
    const answer = await rent(wish);
    expect(answer.status).toBe(201);
    expect(firstLease(answer)).toMatchObject({ state: 'active', generation: 2, node: { id: good.id } });
    expect(await row(database.db, 'SELECT status, dirty, lease_id FROM nodes WHERE id = ?', [bad.id])).toMatchObject({
      status: 'suspect',
      dirty: 1,
      lease_id: null,
    });
  });

  it('R11: everywhere, nothing stays leased and the answer says so', async () => {
    await severalNodes(database.db, 3);
    api.provisioner.fail('unreachable');
    const answer = await rent(wish, { key: 'k' });
    expect(answer).toMatchObject({ status: 503, body: { code: 'provisioning_failed' } });
    expect(answer.headers['retry-after']).toBeDefined();
    expect(await occupied()).toBe(0);
    expect(await row(database.db, 'SELECT state, end_reason FROM leases')).toEqual({ state: 'failed', end_reason: 'rent_failed' });
    expect((await rent(wish, { key: 'k' })).status).toBe(503);
  });

  it('R11: one of two failing for good takes the other with it', async () => {
    const [one, two] = await severalNodes(database.db, 2);
    api.provisioner.fail('unreachable', { nodes: [one?.id ?? 0] });
    expect(await rent({ ...wish, count: 2 })).toMatchObject({ status: 503, body: { code: 'provisioning_failed' } });
    expect(await occupied()).toBe(0);
    expect(await row(database.db, 'SELECT dirty, wipe_due_at IS NOT NULL AS due FROM nodes WHERE id = ?', [two?.id ?? 0])).toMatchObject({
      dirty: 1,
      due: 1,
    });
    expect(await count(database.db, "SELECT COUNT(*) FROM placements WHERE state <> 'wiping'")).toBe(0);
  });

  it('I10: a node that is put into quarantine by this very failure is left at once, and the rent succeeds elsewhere', async () => {
    const [bad, good] = [await aNode(database.db, { cpus: 1 }), await aNode(database.db, { cpus: 2 })];
    await database.db.raw('UPDATE nodes SET provision_failures = 2 WHERE id = ?', [bad.id]);
    api.provisioner.fail('failed', { nodes: [bad.id] });
    const answer = await rent(wish);
    expect(firstLease(answer)).toMatchObject({ state: 'active', node: { id: good.id } });
    expect(await row(database.db, 'SELECT status FROM nodes WHERE id = ?', [bad.id])).toEqual({ status: 'quarantined' });
  }, 20_000);

  it('R21: a node that is retired while the account is being made is left again', async () => {
    const node = await aNode(database.db);
    const admin = await aUser(database.db, { role: 'admin' });
    api.provisioner.behave(async () => {
      expect((await api.call('post', `/api/nodes/${node.id}/retire`, { as: admin })).status).toBe(200);
    });
    expect(firstLease(await rent(wish))).toMatchObject({ state: 'migrating' });
    expect(await row(database.db, 'SELECT state, due_at <= UTC_TIMESTAMP(3) AS due FROM leases')).toEqual({ state: 'migrating', due: 1 });
  });

  it('I10: trouble of the control plane itself is not held against a node', async () => {
    const node = await aNode(database.db);
    let calls = 0;
    api.provisioner.behave(() => {
      calls += 1;
      throw new Error('no space left on the device of the control plane');
    });
    const answer = rent(wish);
    await eventually(() => calls > 0, { what: 'the account is tried' });
    await database.db.raw("UPDATE leases SET state = 'active'");
    expect(firstLease(await answer)).toMatchObject({ state: 'active', node: { id: node.id } });
    expect(await row(database.db, 'SELECT status, provision_failures FROM nodes WHERE id = ?', [node.id])).toEqual({
      status: 'alive',
      provision_failures: 0,
    });
    expect(await row(database.db, 'SELECT state, attempts, claim_token IS NOT NULL AS claimed FROM placements')).toEqual({
      state: 'creating',
      attempts: 0,
      claimed: 1,
    });
  }, 20_000);

  it('R11: one that shows another host key is quarantined', async () => {
    const [bad] = [await aNode(database.db, { cpus: 1 }), await aNode(database.db, { cpus: 2 })];
    api.provisioner.fail('host_key_changed', { nodes: [bad.id] });
    expect((await rent(wish)).status).toBe(201);
    expect(await row(database.db, 'SELECT status, lease_id FROM nodes WHERE id = ?', [bad.id])).toEqual({
      status: 'quarantined',
      lease_id: null,
    });
  });
});
