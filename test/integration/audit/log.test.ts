import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Writable } from 'node:stream';
import type { Event, Page } from '../../../src/contract';
import { createLeaseDirectory } from '../../../src/flows/leases/lease-directory';
import { drain } from '../../../src/flows/nodes/operate-node';
import { fingerprintOf } from '../../../src/lib/host-key';
import { causeOf } from '../../../src/lib/origin';
import { listEvents, recordEvent } from '../../../src/modules/audit';
import { createAdmin } from '../../../src/roles/admin';
import { startTestApi } from '../../support/api';
import { aLease, aNode, aUser, severalNodes } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { count, rows } from '../../support/database';
import { aMachine } from '../../support/enrol';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import { registerMachine } from '../../support/machine';
import { openRowCounter } from '../../support/rows-read';

jest.setTimeout(60_000);

const database = useTestDatabase();
const api = useTestApi(database);
beforeEach(async () => {
  await api.refusals.flush();
  await database.reset();
});
const admin = useUser(database, { role: 'admin' });
const ada = useUser(database);

const listed = async (query = ''): Promise<Page<Event>> => (await api.call<Page<Event>>('get', `/api/audit${query}`, { as: admin })).body;
const only = async (type: string): Promise<Event[]> => (await listed(`?type=${type}`)).items;

describe('the audit log', () => {
  it('R41: is for admins alone', async () => {
    expect((await api.call('get', '/api/audit', { as: ada })).status).toBe(403);
    expect((await api.call('get', '/api/audit')).status).toBe(401);
  });

  it('R41: comes in pages, newest first', async () => {
    for (let n = 0; n < 5; n += 1) {
      await recordEvent(database.db, { type: 'node.alive', actor: 'scheduler', data: { n } });
    }
    const first = await listed('?limit=3');
    expect(first.items.map(({ data }) => data['n'])).toEqual([4, 3, 2]);
    expect((await listed(`?limit=3&cursor=${first.next_cursor ?? ''}`)).items.map(({ data }) => data['n'])).toEqual([1, 0]);
  });

  it('R41: is filtered by type, actor, subject, node, lease and time', async () => {
    const node = await aNode(database.db);
    const lease = await aLease(database.db, { userId: ada.id, nodeId: node.id });
    await recordEvent(database.db, { type: 'lease.active', actor: 'scheduler', leaseId: lease.id, nodeId: node.id });
    await recordEvent(database.db, { type: 'node.drained', actor: `admin:${admin.id}`, nodeId: node.id });
    await database.db.raw("UPDATE events SET at = '2026-01-01 00:00:00.000' WHERE type = 'node.drained'");
    const types = async (query: string): Promise<string[]> => (await listed(query)).items.map(({ type }) => type);
    expect(await types('')).toEqual(['node.drained', 'lease.active']);
    expect(await types('?type=node.drained')).toEqual(['node.drained']);
    expect(await types('?actor=scheduler')).toEqual(['lease.active']);
    expect(await types(`?user=${ada.id}`)).toEqual(['lease.active']);
    expect(await types(`?lease=${lease.id}`)).toEqual(['lease.active']);
    expect(await types(`?node=${node.id}&actor=admin:${admin.id}`)).toEqual(['node.drained']);
    expect(await types('?from=2026-01-01T00:00:00.001Z')).toEqual(['lease.active']);
    expect(await types('?from=2026-01-01T00:00:00.000Z&to=2026-01-01T00:00:01.000Z')).toEqual(['node.drained']);
    expect(await types('?node=999999')).toEqual([]);
  });

  it('R41: reads about as many rows as it shows, whatever the filter and however long the log', async () => {
    const [from, to] = ['2026-02-01T00:00:00.000Z', '2026-02-01T00:00:20.000Z'];
    await database.db.raw(
      `INSERT INTO events (at, type, actor, user_id, node_id, lease_id, data)
       SELECT '2026-01-31 23:00:00.000' + INTERVAL seq SECOND, IF(seq % 100, 'node.alive', 'node.dead'), IF(seq % 100, 'scheduler', 'api'),
              seq % 100, seq % 100, seq % 100, '{}' FROM seq_1_to_20000`,
    );
    const counter = openRowCounter(database.access);
    const filters = [
      {},
      { type: 'node.dead' as const },
      { actor: 'api' },
      { userId: 7 },
      { nodeId: 7 },
      { leaseId: 7 },
      { from: new Date(from), to: new Date(to) },
    ];
    for (const filter of filters) {
      let found = 0;
      const read = await counter.rowsRead(async (db) => (found = (await listEvents(db, { ...filter, limit: 20 })).length));
      expect([filter, found, read < 2_500]).toEqual([filter, 20, true]);
    }
    await counter.close();
  });

  it.each(['?type=node.flown', '?user=0', '?from=yesterday', '?limit=501'])('R41: has no filter %s', async (query) => {
    expect((await api.call('get', `/api/audit${query}`, { as: admin })).status).toBe(400);
  });

  it('R41: shows an event of the release before, which knows no origin', async () => {
    await database.db.raw("INSERT INTO events (type, actor, data) VALUES ('node.alive', 'scheduler', '{}')");
    expect((await listed()).items).toMatchObject([{ outcome: null, address: null, request_id: null, token_id: null, user_id: null }]);
  });
});

describe('what is in an event', () => {
  it('R41: the host key that an approval accepted', async () => {
    const node = await aNode(database.db, { status: 'pending' });
    await api.call('post', `/api/nodes/${node.id}/approve`, { as: admin, body: { host_key_fingerprint: fingerprintOf(node.hostKey) } });
    expect(await only('node.approved')).toMatchObject([{ data: { before: 'pending', hostKeyFingerprint: fingerprintOf(node.hostKey) } }]);
  });

  it('R41: the value before and the value after', async () => {
    await api.call('patch', `/api/users/${ada.id}`, { as: admin, body: { role: 'admin', max_leases: 999 } });
    const data = { role: { from: 'user', to: 'admin' }, max_leases: { from: 5, to: 999 } };
    expect(await only('user.changed')).toMatchObject([{ actor: `admin:${admin.id}`, user_id: ada.id, data }]);
  });

  it('R41: the owner of the lease, also where a gateway or the order of an operator recorded it', async () => {
    const node = await aNode(database.db);
    const lease = await aLease(database.db, { userId: ada.id, nodeId: node.id });
    const ctx = createTestContext(database.db, createFakeProvisioner());
    await createLeaseDirectory(ctx).connected({ leaseId: lease.id, address: '192.0.2.7', publicKey: anSshKey(), cause: causeOf(null) });
    await drain(ctx, { nodeId: node.id, by: admin, move: true });
    expect(await only('lease.connected')).toMatchObject([{ user_id: ada.id, address: '192.0.2.7' }]);
    expect(await only('lease.migrating')).toMatchObject([{ user_id: ada.id, actor: `admin:${admin.id}` }]);
  });

  it('R41: the request of each rent, although rents share a transaction', async () => {
    await severalNodes(database.db, 12);
    const renters = await Promise.all(Array.from({ length: 12 }, () => aUser(database.db)));
    const body = { duration_hours: 1, ssh_public_key: anSshKey() };
    const answers = await Promise.all(renters.map((as) => api.call('post', '/api/rent', { as, body })));
    expect(answers.map(({ status }) => status)).toEqual(renters.map(() => 201));
    const requests = new Map((await only('lease.requested')).map((event) => [event.actor, event.request_id]));
    expect(renters.map(({ id }) => requests.get(`user:${id}`))).toEqual(answers.map(({ headers }) => headers['x-request-id']));
  });

  it('R41: the last use of a join token, and which token a machine joined with', async () => {
    const { body: token } = await api.call<{ id: number; token: string }>('post', '/api/tokens', {
      as: admin,
      body: { name: 'lab', max_uses: 2 },
    });
    await registerMachine(api.url, aMachine(), { joinToken: token.token });
    expect(await only('token.used_up')).toEqual([]);
    await registerMachine(api.url, aMachine(), { joinToken: token.token });
    expect(await only('token.used_up')).toMatchObject([{ data: { join_token_id: token.id, uses: 2 } }]);
    expect((await only('node.registered')).map(({ data }) => data['join_token_id'])).toEqual([token.id, token.id]);
  });

  it('R41: the operator who makes an admin with the database password', async () => {
    const { host, port, user, password, database: name } = database.access;
    const env = { ORION_DB_HOST: host, ORION_DB_PORT: String(port), ORION_DB_USER: user, ORION_DB_PASSWORD: password, ORION_DB_NAME: name };
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done() });
    expect(await createAdmin({ username: 'root2', password: 'correct horse battery' }, env, { stdout })).toBe(0);
    expect(await only('user.created')).toMatchObject([
      { actor: 'operator', address: null, data: { username: 'root2', role: 'admin', max_leases: 1000 } },
    ]);
  });
});

describe('logins', () => {
  const password = 'correct horse battery';
  const logIn = (username: string, typed: string): Promise<{ status: number }> =>
    api.call('post', '/api/login', { body: { username, password: typed } });

  it('R41: that fail are counted by name; the event names the user, and nothing that was typed', async () => {
    const { body } = await api.call<{ user: { id: number } }>('post', '/api/signup', { body: { username: 'operator', password } });
    for (const typed of ['guess-one', 'guess-two', 'guess-three']) {
      expect((await logIn('operator', typed)).status).toBe(401);
    }
    await logIn('hunter2-typed-as-a-name', 'guess');
    await api.refusals.flush();
    const failed = (await only('user.login_failed')).map(({ user_id: userId, outcome, data }) => [userId, outcome, data]);
    expect(failed).toEqual([
      [body.user.id, 'refused', { reason: 'wrong password', count: 2 }],
      [null, 'refused', { reason: 'unknown name', count: 1 }],
      [body.user.id, 'refused', { reason: 'wrong password', count: 1 }],
    ]);
    expect(JSON.stringify(await rows(database.db, 'SELECT * FROM events'))).not.toMatch(/guess|hunter2/);
  });

  it('R41: that succeed name the token that was issued, which later events carry', async () => {
    await api.call('post', '/api/signup', { body: { username: 'grace', password } });
    const { body } = await api.call<{ token: string }>('post', '/api/login', { body: { username: 'grace', password } });
    await api.call('post', '/api/keys', { as: body.token, body: { public_key: anSshKey() } });
    const [login] = await only('user.login');
    expect(await only('key.added')).toMatchObject([{ token_id: login?.data['issued_token_id'] }]);
  });

  it('R41: beyond the limit leave one event, and a count', async () => {
    const limited = await startTestApi(database.db, { limits: { loginsPerAddress: 1 } });
    const answers = [];
    for (let n = 0; n < 6; n += 1) {
      answers.push((await limited.call('post', '/api/login', { body: { username: `u${n}`, password: 'guess' } })).status);
    }
    await limited.close();
    expect(answers).toEqual([401, 429, 429, 429, 429, 429]);
    expect((await only('access.refused')).map(({ data }) => [data['code'], data['count']])).toEqual([
      ['too_many_requests', 4],
      ['too_many_requests', 1],
    ]);
  });
});

describe('an act that fails', () => {
  it('R41: leaves no event: both are in one transaction', async () => {
    await api.call('post', '/api/signup', { body: { username: 'twin', password: 'correct horse battery' } });
    expect((await api.call('post', '/api/signup', { body: { username: 'twin', password: 'correct horse battery' } })).status).toBe(409);
    expect(await count(database.db, "SELECT COUNT(*) FROM events WHERE type = 'user.created'")).toBe(1);
  });

  it('R41: is not done where its event cannot be written', async () => {
    await database.db.raw("CREATE TRIGGER no_events BEFORE INSERT ON events FOR EACH ROW SIGNAL SQLSTATE '45000'");
    const answer = await api.call('post', '/api/signup', { body: { username: 'ghost', password: 'correct horse battery' } });
    const token = await api.call('post', '/api/tokens', { as: admin, body: { name: 'ghost' } });
    await database.db.raw('DROP TRIGGER no_events');
    expect([answer.status, token.status]).toEqual([500, 500]);
    expect(await count(database.db, "SELECT COUNT(*) FROM users WHERE username = 'ghost'")).toBe(0);
    expect(await count(database.db, 'SELECT COUNT(*) FROM join_tokens')).toBe(0);
  });
});
