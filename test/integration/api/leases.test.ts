import { beforeEach, describe, expect, it } from '@jest/globals';
import type { User } from '../../../src/modules/accounts';
import { aLease, aNode, type TestLease } from '../../support/builders';
import { age, count, row, rows } from '../../support/database';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { Lease, LeaseDetail, Page, Rented } from '../../../src/contract';
import type { Reply } from '../../support/wire';

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
beforeEach(() => api.provisioner.reset());
const user = useUser(database);
const stranger = useUser(database);
const admin = useUser(database, { role: 'admin' });

const leased = async (owner = user): Promise<TestLease> => aLease(database.db, { userId: owner.id, nodeId: (await aNode(database.db)).id });
const endOf = async (id: number): Promise<number> =>
  (await row<{ ends_at: Date }>(database.db, 'SELECT ends_at FROM leases WHERE id = ?', [id])).ends_at.getTime();

interface By {
  by?: User;
  key?: string;
}
const extend = (body: object, { by = user, key }: By = {}): Promise<Reply<Lease>> =>
  api.call<Lease>('post', '/api/extend', { as: by, body, headers: key === undefined ? {} : { 'Idempotency-Key': key } });
const release = (id: number, by = user): Promise<Reply<Lease>> =>
  api.call<Lease>('post', '/api/release', { as: by, body: { lease_id: id } });

describe('extending a lease', () => {
  it('R14, I4: moves the end, records it, and makes the account due to learn of it', async () => {
    const { id, placementId } = await leased();
    const before = await endOf(id);
    const answer = await extend({ lease_id: id, duration_hours: 1 });
    expect(answer).toMatchObject({ status: 200, body: { id, state: 'active', ends_at: new Date(before + 3_600_000).toISOString() } });
    const [extension] = await rows<Record<string, unknown>>(database.db, 'SELECT * FROM extensions WHERE lease_id = ?', [id]);
    expect(extension).toMatchObject({ ends_before: new Date(before), ends_after: new Date(before + 3_600_000), extended_by: user.id });
    expect(await row(database.db, 'SELECT due_at IS NOT NULL AS due FROM placements WHERE id = ?', [placementId])).toEqual({ due: 1 });
  });

  it('R14: is for the owner and for admins; to others the lease does not exist', async () => {
    const { id } = await leased();
    const before = await endOf(id);
    expect(await extend({ lease_id: id, duration_hours: 1 }, { by: stranger })).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect((await extend({ lease_id: 99_999, duration_hours: 1 })).status).toBe(404);
    expect(await endOf(id)).toBe(before);
    expect((await extend({ lease_id: id, duration_minutes: 5 }, { by: admin })).status).toBe(200);
  });

  it('I3: extends once for one key, however often and however concurrently it is sent', async () => {
    const { id } = await leased();
    const before = await endOf(id);
    const answers = await Promise.all(Array.from({ length: 10 }, () => extend({ lease_id: id, duration_hours: 1 }, { key: 'e1' })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await endOf(id)).toBe(before + 3_600_000);
    expect(await extend({ lease_id: id, duration_hours: 2 }, { key: 'e1' })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    });
    await extend({ lease_id: id, duration_hours: 1 }, { key: 'e2' });
    expect(await endOf(id)).toBe(before + 7_200_000);
  });

  it('I4: concurrent extensions all count and chain without a gap', async () => {
    const { id } = await leased();
    const before = await endOf(id);
    await Promise.all(Array.from({ length: 8 }, () => extend({ lease_id: id, duration_minutes: 10 })));
    expect(await endOf(id)).toBe(before + 80 * 60_000);
    const chain = await rows<{ ends_before: Date; ends_after: Date }>(
      database.db,
      'SELECT ends_before, ends_after FROM extensions ORDER BY ends_before',
    );
    chain.forEach(({ ends_before }, n) => expect(ends_before.getTime()).toBe(chain[n - 1]?.ends_after.getTime() ?? before));
  });

  it('R14: keeps to the limit of the owner, counted from the start of the lease', async () => {
    const { id } = await leased();
    expect((await extend({ lease_id: id, duration_hours: 23 })).status).toBe(200);
    expect(await extend({ lease_id: id, duration_minutes: 1 })).toMatchObject({ status: 422, body: { code: 'duration_too_long' } });
  });

  it('R14: what is over stays over', async () => {
    const expired = await leased();
    await age(
      database.db,
      'UPDATE leases SET created_at = created_at - INTERVAL 2 HOUR, ends_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ?',
      [expired.id],
    );
    expect(await extend({ lease_id: expired.id, duration_hours: 1 })).toMatchObject({ status: 422, body: { code: 'lease_over' } });
    const released = await leased();
    await release(released.id);
    expect(await extend({ lease_id: released.id, duration_hours: 1 })).toMatchObject({ status: 422, body: { code: 'lease_over' } });
    expect(await count(database.db, 'SELECT COUNT(*) FROM extensions')).toBe(0);
  });

  it.each([0, -1, 1e-9, 1e308, '5', null, [1], {}])('R14: refuses to extend by %j hours', async (hours) => {
    const { id } = await leased();
    expect(await extend({ lease_id: id, duration_hours: hours })).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });
});

describe('releasing a lease', () => {
  it('R14, I7: ends it at once; its node is dirty and due for a wipe before anybody else gets it', async () => {
    const { id, nodeId } = await leased();
    expect(await release(id)).toMatchObject({ status: 200, body: { state: 'ending', end_reason: 'released', access: null } });
    expect(
      await row(database.db, 'SELECT lease_id, dirty, leasable, wipe_due_at <= UTC_TIMESTAMP(3) AS due FROM nodes WHERE id = ?', [nodeId]),
    ).toEqual({
      lease_id: null,
      dirty: 1,
      leasable: 0,
      due: 1,
    });
    expect(await row(database.db, 'SELECT state, current_lease_id FROM placements WHERE lease_id = ?', [id])).toEqual({
      state: 'wiping',
      current_lease_id: null,
    });
  });

  it('R14: twice is fine and changes nothing', async () => {
    const { id } = await leased();
    await release(id);
    const events = await count(database.db, 'SELECT COUNT(*) FROM events');
    expect(await release(id)).toMatchObject({ status: 200, body: { state: 'ending' } });
    expect(await count(database.db, 'SELECT COUNT(*) FROM events')).toBe(events);
  });

  it('R14: of another is not found; by an admin it is a revocation', async () => {
    const { id } = await leased();
    expect(await release(id, stranger)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await release(id, admin)).toMatchObject({ status: 200, body: { end_reason: 'revoked' } });
  });

  it('I6: with its node dead the lease is over at once and the wipe waits for the node', async () => {
    const { id, nodeId } = await leased();
    await age(database.db, "UPDATE nodes SET status = 'dead' WHERE id = ?", [nodeId]);
    expect(await release(id)).toMatchObject({ body: { state: 'ended' } });
    expect(await row(database.db, 'SELECT dirty, wipe_due_at FROM nodes WHERE id = ?', [nodeId])).toEqual({ dirty: 1, wipe_due_at: null });
  });

  it('R14: a hash of a password does not outlive its lease', async () => {
    await aNode(database.db);
    const rented = await api.call<Rented>('post', '/api/rent', {
      as: user,
      body: { duration_hours: 1, with_password: true, ssh_public_key: anSshKey() },
    });
    await release(rented.body.leases[0]?.id ?? 0);
    expect(await row(database.db, 'SELECT password_hash FROM leases')).toEqual({ password_hash: null });
  });
});

describe('looking at leases', () => {
  it('R14: users see their own, newest first, in pages; admins all of them when asked for', async () => {
    const mine = [await leased(), await leased(), await leased()].map(({ id }) => id);
    const theirs = await leased(stranger);
    const first = await api.call<Page<Lease>>('get', '/api/leases?limit=2', { as: user });
    expect(first.body.items.map(({ id }) => id)).toEqual([mine[2], mine[1]]);
    const last = await api.call<Page<Lease>>('get', `/api/leases?limit=2&cursor=${first.body.next_cursor ?? ''}`, { as: user });
    expect(last.body).toMatchObject({ items: [{ id: mine[0] }], next_cursor: null });

    expect(await api.call('get', '/api/leases?scope=all', { as: user })).toMatchObject({ status: 403 });
    const all = await api.call<Page<Lease>>('get', '/api/leases?scope=all', { as: admin });
    expect(all.body.items.map(({ id }) => id)).toEqual([theirs.id, ...mine.toReversed()]);
    expect((await api.call<Page<Lease>>('get', '/api/leases', { as: admin })).body.items).toEqual([]);
  });

  it('R14: those that are over can be left out', async () => {
    const [gone, stays] = [await leased(), await leased()];
    await release(gone.id);
    await age(database.db, "UPDATE leases SET state = 'ended' WHERE id = ?", [gone.id]);
    const running = await api.call<Page<Lease>>('get', '/api/leases?running=true', { as: user });
    expect(running.body.items.map(({ id }) => id)).toEqual([stays.id]);
  });

  it('R14: one lease is shown with its timeline and its placements, to its owner and admins', async () => {
    await aNode(database.db);
    const rented = await api.call<Rented>('post', '/api/rent', { as: user, body: { duration_hours: 1, ssh_public_key: anSshKey() } });
    const id = rented.body.leases[0]?.id ?? 0;
    await extend({ lease_id: id, duration_hours: 1 });
    await release(id);
    const detail = await api.call<LeaseDetail>('get', `/api/leases/${id}`, { as: user });
    expect(detail.body.events.map(({ type }) => type)).toEqual(['lease.requested', 'lease.active', 'lease.extended', 'lease.ending']);
    expect(detail.body.events[0]?.actor).toBe(`user:${user.id}`);
    expect(detail.body.placements).toMatchObject([{ generation: 1, state: 'wiping', last_error: null }]);
    expect((await api.call('get', `/api/leases/${id}`, { as: admin })).status).toBe(200);
    expect((await api.call('get', `/api/leases/${id}`, { as: stranger })).status).toBe(404);
  });

  it.each([
    '/api/leases?limit=0',
    '/api/leases?limit=501',
    '/api/leases?cursor=x',
    '/api/leases?scope=theirs',
    '/api/leases?running=1',
    '/api/leases/0',
    '/api/leases/x',
    '/api/leases/1.5',
    '/api/leases/%ff',
    '/api/leases?cursor=1&cursor=2',
  ])('refuses GET %s', async (path) => {
    expect(await api.call('get', path, { as: user })).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });
});
