import { describe, expect, it } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { controlFingerprint } from '../../../src/lib/control-key';
import { fingerprintOf } from '../../../src/lib/host-key';
import { sha256 } from '../../../src/lib/ids';
import { createJoinToken } from '../../../src/roles/admin';
import { generateSshKeyPair } from '../../lab';
import { aLease, aNode, aUser, type TestNode } from '../../support/builders';
import { CONTROL_KEY, startTestApi, type TestApi } from '../../support/api';
import { age, count, row } from '../../support/database';
import { useLab, useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import { registerMachine } from '../../support/machine';
import type { IssuedJoinToken, Node } from '../../../src/contract';
import type { RegisteredJson, Reply } from '../../support/wire';

const lab = useLab();
const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
const admin = useUser(database, { role: 'admin' });

const aMachine = (change: object = {}): Record<string, unknown> & { join_token?: string } => ({
  hostname: 'edge-1',
  ssh_port: 2222,
  host_key: anSshKey(),
  facts: { cpus: 4, memory_mb: 8000, os: 'Debian' },
  ...change,
});
/** As a machine does it that holds the private half of the host key in `body`; `join_token` is what it proves to hold. */
const register = (
  { join_token: joinToken, ...body }: { join_token?: string; [member: string]: unknown },
  { credential, path, on = api }: { credential?: string; path?: string; on?: TestApi } = {},
): Promise<Reply<RegisteredJson>> => registerMachine(on.url, body, { joinToken, credential, ...(path === undefined ? {} : { path }) });
const aToken = async (body: object = {}): Promise<IssuedJoinToken> =>
  (await api.call<IssuedJoinToken>('post', '/api/tokens', { as: admin, body: { name: 'lab', ...body } })).body;
const node = (id: number): Promise<Record<string, unknown>> => row(database.db, 'SELECT * FROM nodes WHERE id = ?', [id]);
const nodes = (): Promise<number> => count(database.db, 'SELECT COUNT(*) FROM nodes');

describe('a machine announces itself', () => {
  it('a newer agent may say more than this control plane understands: it is known and heard all the same, and a user who does so is refused', async () => {
    const { token } = await aToken();
    const { status, body } = await register({
      ...aMachine({ join_token: token }),
      of_next_year: { proof: 'x' },
      facts: { cpus: 4, gpus: 2 },
    });
    expect(status).toBe(201);
    const heartbeat = { load1: 0.5, of_next_year: ['x'] };
    expect(await api.call('post', '/api/workers/heartbeat', { as: body.credential ?? '', body: heartbeat })).toMatchObject({
      status: 200,
      body: { status: 'unknown' },
    });
    expect(await api.call('post', '/api/workers/leave', { as: body.credential ?? '', body: { of_next_year: true } })).toMatchObject({
      status: 200,
    });
    expect(await api.call('post', '/api/tokens', { as: admin, body: { name: 'lab', of_next_year: true } })).toMatchObject({ status: 400 });
  });

  it.each(['/api/workers/register', '/api/register'])(
    'R1, R3: on POST %s, with a join token, it is enrolled as unknown and due for a probe',
    async (path) => {
      const { token } = await aToken({ labels: { zone: 'lab' } });
      const hostKey = anSshKey();
      const answer = await register(
        aMachine({ host_key: `${hostKey} root@edge-1`, join_token: token, labels: { zone: 'mine', rack: '7' } }),
        { path },
      );
      expect(answer).toMatchObject({
        status: 201,
        body: {
          status: 'unknown',
          management: { username: 'orion-mgmt', public_keys: ['ssh-ed25519 AAAA'] },
          heartbeat_interval_seconds: 10,
        },
      });
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(answer.body.credential).toMatch(/^orion_node_[\w-]{43}$/);
      const stored = await node(answer.body.node_id);
      expect(stored).toMatchObject({
        hostname: 'edge-1',
        address: '127.0.0.1',
        ssh_port: 2222,
        host_key: hostKey,
        status: 'unknown',
        dirty: 1,
        cpus: 4,
        memory_mb: 8000,
        leasable: 0,
      });
      expect(stored['probe_due_at']).not.toBeNull();
      expect(stored['labels']).toEqual({ zone: 'lab', 'node/zone': 'mine', 'node/rack': '7' });
      expect(JSON.stringify(stored)).not.toContain(answer.body.credential);
    },
  );

  it('R1: the two fields of the documents and a host key are enough', async () => {
    const answer = await register({ hostname: 'edge-1', ssh_port: 22, host_key: anSshKey() });
    expect(answer).toMatchObject({ status: 202, body: { status: 'pending' } });
    expect(await node(answer.body.node_id)).toMatchObject({ cpus: 1, memory_mb: 0 });
  });

  it('R3: again, with its credential, it is updated and never doubled, and has to be verified anew', async () => {
    const machine = aMachine();
    const { body: first } = await register({ ...machine, join_token: (await aToken()).token });
    await age(database.db, "UPDATE nodes SET status = 'alive', dirty = 0 WHERE id = ?", [first.node_id]);
    const again = await register({ ...machine, hostname: 'renamed', address: '127.0.0.9' }, { credential: first.credential ?? '' });
    expect(again).toMatchObject({ status: 200, body: { node_id: first.node_id, status: 'unknown' } });
    expect(again.body.credential).toBeUndefined();
    expect(await node(first.node_id)).toMatchObject({ hostname: 'renamed', address: '127.0.0.9', status: 'unknown', dirty: 1 });
    expect(await nodes()).toBe(1);
  });

  it('R3: twenty registrations of one machine at once make one node', async () => {
    const { token } = await aToken({ max_uses: 20 });
    const machine = aMachine({ join_token: token });
    const answers = await Promise.all(Array.from({ length: 20 }, () => register(machine)));
    // A challenge that is older than the one that was answered last is good no more.
    const enrolled = answers.filter(({ status }) => status === 201);
    expect(answers.filter(({ status, body }) => status !== 201 && body.code !== 'state_conflict')).toEqual([]);
    expect(new Set(enrolled.map(({ body }) => body.node_id)).size).toBe(1);
    const { credential_hash: hash } = await row<{ credential_hash: string }>(database.db, 'SELECT credential_hash FROM nodes');
    expect(enrolled.filter(({ body }) => sha256(body.credential ?? '') === hash)).toHaveLength(1);
    expect(await nodes()).toBe(1);
  });

  it('R1: a token that `orion admin join-token` issued beside the API lets in as many machines as it says', async () => {
    const said = new PassThrough();
    const { host, port, user, password, database: name } = database.access;
    const { keyFile } = await generateSshKeyPair(lab.dir);
    const env = {
      ORION_CONTROL_KEY_FILE: keyFile,
      ORION_DB_HOST: host,
      ORION_DB_PORT: String(port),
      ORION_DB_USER: user,
      ORION_DB_PASSWORD: password,
      ORION_DB_NAME: name,
    };
    expect(await createJoinToken({ name: 'launch', maxUses: 1, ttlHours: 1 }, env, { stdout: said })).toBe(0);
    const token = String(said.read()).trim();
    expect(token).toMatch(/^orion_join_[\w-]{43}_[\w-]{43}$/);
    expect((await register(aMachine({ join_token: token }))).status).toBe(201);
    expect((await register(aMachine({ join_token: token }))).status).toBe(401);
  });

  it('R1: a token for one machine, raced by twenty, lets exactly one in', async () => {
    const { token } = await aToken();
    const answers = await Promise.all(Array.from({ length: 20 }, () => register(aMachine({ join_token: token }))));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(19).fill(401)]);
    expect(await nodes()).toBe(1);
  });

  it('R1: a token that is used up, expired, revoked or made up opens nothing, and all are refused alike', async () => {
    const [used, expired, revoked] = [await aToken(), await aToken(), await aToken()];
    expect((await register(aMachine({ join_token: used.token }))).status).toBe(201);
    await age(database.db, 'UPDATE join_tokens SET expires_at = UTC_TIMESTAMP(3) WHERE id = ?', [expired.id]);
    expect((await api.call<IssuedJoinToken>('delete', `/api/tokens/${revoked.id}`, { as: admin })).body.revoked_at).not.toBeNull();
    const answers = await Promise.all(
      [used.token, expired.token, revoked.token, `orion_join_${'A'.repeat(43)}`].map((join_token) => register(aMachine({ join_token }))),
    );
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.code ?? ''} ${body.detail ?? ''}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(await nodes()).toBe(1);
  });

  it('R1: without a token it waits for an operator; under open enrolment it does not', async () => {
    const waiting = await register(aMachine());
    expect(waiting).toMatchObject({ status: 202, body: { status: 'pending' } });
    expect(await node(waiting.body.node_id)).toMatchObject({ probe_due_at: null, leasable: 0 });
    const open = await startTestApi(database.db, { enrolment: 'open' });
    expect(await register(aMachine(), { on: open })).toMatchObject({ status: 201, body: { status: 'unknown' } });
    await open.close();
  });

  it('R3: a machine that still waits may ask again without a credential and is not doubled', async () => {
    const machine = aMachine();
    const ids = [await register(machine), await register(machine)].map(({ status, body }) => [status, body.node_id]);
    expect(ids[0]).toEqual(ids[1]);
    expect(await register({ ...machine, join_token: (await aToken()).token })).toMatchObject({
      status: 201,
      body: { node_id: ids[0]?.[1], status: 'unknown' },
    });
  });

  it('R1: nobody takes the place of an enrolled machine by showing its host key', async () => {
    const machine = aMachine();
    const { body } = await register({ ...machine, join_token: (await aToken()).token });
    const before = await node(body.node_id);
    expect(await register({ ...machine, address: '127.0.0.66' })).toMatchObject({ status: 409, body: { code: 'node_known' } });
    expect(await node(body.node_id)).toEqual(before);
  });

  it('R1: a quarantined machine does not free itself with a new token', async () => {
    const machine = aMachine();
    const { body } = await register({ ...machine, join_token: (await aToken()).token });
    await api.call('post', `/api/nodes/${body.node_id}/quarantine`, { as: admin, body: { reason: 'odd' } });
    expect(await register({ ...machine, join_token: (await aToken()).token })).toMatchObject({ body: { status: 'quarantined' } });
    expect(await node(body.node_id)).toMatchObject({ status: 'quarantined', probe_due_at: null });
  });

  it('R1: with another host key than the pinned one it is quarantined, and its lease moves', async () => {
    const owner = await aUser(database.db);
    const enrolled = await aNode(database.db);
    const lease = await aLease(database.db, { userId: owner.id, nodeId: enrolled.id });
    const changed = anSshKey();
    expect(await register(aMachine({ host_key: changed }), { credential: enrolled.credential })).toMatchObject({
      status: 409,
      body: { code: 'host_key_changed' },
    });
    expect(await node(enrolled.id)).toMatchObject({
      status: 'quarantined',
      host_key: enrolled.hostKey,
      offered_host_key: changed,
      probe_due_at: null,
    });
    expect(await row(database.db, 'SELECT state FROM leases WHERE id = ?', [lease.id])).toEqual({ state: 'migrating' });
    expect(await nodes()).toBe(1);
  });

  it('R6: a retired node is told so, and its machine may enrol anew', async () => {
    const machine = aMachine();
    const { body } = await register({ ...machine, join_token: (await aToken()).token });
    await api.call('post', `/api/nodes/${body.node_id}/retire`, { as: admin });
    const shown = { credential: body.credential ?? '' };
    expect(await register(machine, shown)).toMatchObject({ status: 410, body: { code: 'node_retired' } });
    expect(await api.call('post', '/api/workers/heartbeat', { as: shown.credential, body: {} })).toMatchObject({ status: 410 });
    const anew = await register({ ...machine, join_token: (await aToken()).token });
    expect(anew.status).toBe(201);
    expect(anew.body.node_id).not.toBe(body.node_id);
  });

  it.each([
    { hostname: 'a b' },
    { hostname: '' },
    { hostname: '-x' },
    { ssh_port: 0 },
    { ssh_port: 65_536 },
    { ssh_port: '22' },
    { host_key: 'nonsense' },
    { host_key: undefined },
    { address: '$(id)' },
    { address: '-oProxyCommand=id' },
    { labels: { 'a b': 'c' } },
    { labels: { a: 'x y' } },
    { facts: { cpus: 0 } },
    { facts: { memory_mb: -1 } },
    { labels: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`l${n}`, 'x'])) },
  ])('R1: refuses a registration with %j', async (change) => {
    expect(await register(aMachine(change))).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(await nodes()).toBe(0);
  });

  it('R1: guesses at tokens are limited, and holders of a credential are not', async () => {
    const strict = await startTestApi(database.db, { limits: { registrationsPerAddress: 3 } });
    const enrolled = await aNode(database.db);
    const statuses = [];
    for (let n = 0; n < 5; n += 1) {
      statuses.push((await register(aMachine({ join_token: `orion_join_${'B'.repeat(43)}` }), { on: strict })).status);
    }
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    expect((await register(aMachine({ host_key: enrolled.hostKey }), { credential: enrolled.credential, on: strict })).status).toBe(200);
    await strict.close();
  });
});

describe('an agent calls home', () => {
  const sendHeartbeat = (
    of: TestNode,
    body: object = {},
  ): Promise<Reply<{ status: string; accounts: { username: string; remaining_seconds: number }[] }>> =>
    api.call('post', '/api/workers/heartbeat', { as: of.credential, body });

  it.each([
    ['has no news', {}, 20],
    ['has news', { load1: 3 }, 10],
  ])('R2: one that %s and has no account is told to come after another interval', async (_what, body, seconds) => {
    const answer = await sendHeartbeat(await aNode(database.db), { ...body, interval_seconds: 10 });
    expect(answer.body).toMatchObject({ heartbeat_interval_seconds: seconds });
  });

  it('R44: one that names the present management statement is not sent it again, and one that names another is', async () => {
    const enrolled = await aNode(database.db);
    const management = async (body: object): Promise<{ statement: { text: string } } | undefined> =>
      ((await sendHeartbeat(enrolled, body)).body as { management?: { statement: { text: string } } }).management;
    const sent = await management({});
    const statement = sha256(sent?.statement.text ?? '');
    expect(JSON.parse(sent?.statement.text ?? '')).toMatchObject({ username: 'orion-mgmt' });
    expect(await management({ statement })).toBeUndefined();
    expect(await management({ statement: sha256('another') })).toEqual(sent);
  });

  it('R2: its facts are kept and it is told which accounts may stay and for how long', async () => {
    const enrolled = await aNode(database.db);
    const lease = await aLease(database.db, { userId: admin.id, nodeId: enrolled.id });
    await age(database.db, 'UPDATE heartbeats SET last_heartbeat_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR WHERE node_id = ?', [enrolled.id]);
    const answer = await sendHeartbeat(enrolled, { load1: 0.5, memory_free_mb: 100.4, accounts: ['orn-x'] });
    expect(answer).toMatchObject({ status: 200, body: { status: 'alive', heartbeat_interval_seconds: 10 } });
    const { username } = await row<{ username: string }>(database.db, 'SELECT username FROM placements WHERE lease_id = ?', [lease.id]);
    expect(answer.body.accounts).toEqual([{ username, remaining_seconds: expect.closeTo(3600, -2) }]);
    expect(
      await row(
        database.db,
        'SELECT load1, memory_free_mb, disk_free_mb, last_heartbeat_at > UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE AS fresh FROM heartbeats WHERE node_id = ?',
        [enrolled.id],
      ),
    ).toEqual({
      load1: 0.5,
      memory_free_mb: 100,
      disk_free_mb: null,
      fresh: 1,
    });
  });

  it('R2: a host key other than the pinned one quarantines the node before anybody is sent to it', async () => {
    const enrolled = await aNode(database.db);
    expect((await sendHeartbeat(enrolled, { host_key: `${enrolled.hostKey} root@edge` })).body.status).toBe('alive');
    expect((await sendHeartbeat(enrolled, { host_key: anSshKey() })).body.status).toBe('quarantined');
    expect((await sendHeartbeat(enrolled)).body.status).toBe('quarantined');
  });

  it('R2: a credential counts as the database has it now, wherever it was found before', async () => {
    const [before, after] = [await aNode(database.db), await aNode(database.db)];
    expect((await sendHeartbeat(before)).status).toBe(200);
    const { hash } = await row<{ hash: string }>(database.db, 'SELECT credential_hash AS hash FROM nodes WHERE id = ?', [before.id]);
    await age(database.db, 'UPDATE nodes SET credential_hash = ? WHERE id = ?', ['0'.repeat(64), before.id]);
    expect((await sendHeartbeat(before)).status).toBe(401);
    await age(database.db, 'UPDATE nodes SET credential_hash = ? WHERE id = ?', [hash, after.id]);
    expect((await sendHeartbeat(before, { load1: 0.7 })).status).toBe(200);
    const load = async ({ id }: TestNode): Promise<unknown> =>
      (await row<{ load1: unknown }>(database.db, 'SELECT load1 FROM heartbeats WHERE node_id = ?', [id])).load1;
    expect([await load(before), await load(after)]).toEqual([null, 0.7]);
  });

  it('R1: a heartbeat offers the other host key of a node that was quarantined by whoever met that key first; once', async () => {
    const enrolled = await aNode(database.db);
    await api.call('post', `/api/nodes/${enrolled.id}/quarantine`, { as: admin, body: { reason: 'it showed another host key' } });
    expect((await sendHeartbeat(enrolled, { host_key: enrolled.hostKey })).body.status).toBe('quarantined');
    expect(await node(enrolled.id)).toMatchObject({ offered_host_key: null });
    const offered = anSshKey();
    expect((await sendHeartbeat(enrolled, { host_key: offered })).body.status).toBe('quarantined');
    await sendHeartbeat(enrolled, { host_key: anSshKey() });
    expect(await node(enrolled.id)).toMatchObject({ status: 'quarantined', host_key: enrolled.hostKey, offered_host_key: offered });
    expect(
      await api.call('post', `/api/nodes/${enrolled.id}/approve`, { as: admin, body: { host_key_fingerprint: fingerprintOf(offered) } }),
    ).toMatchObject({ status: 200 });
  });
});

describe('a machine leaves', () => {
  const leave = (of: TestNode): Promise<Reply<{ left: boolean; status: string }>> =>
    api.call('post', '/api/workers/leave', { as: of.credential });

  it('R6: its lease moves first, then it is wiped, and then it is retired', async () => {
    const enrolled = await aNode(database.db);
    const lease = await aLease(database.db, { userId: admin.id, nodeId: enrolled.id });
    expect((await leave(enrolled)).body).toMatchObject({ left: false, status: 'alive' });
    expect(await row(database.db, 'SELECT state FROM leases WHERE id = ?', [lease.id])).toEqual({ state: 'migrating' });
    expect(await node(enrolled.id)).toMatchObject({ leaving: 1, drained: 1, leasable: 0 });

    await api.call('post', '/api/release', { as: admin, body: { lease_id: lease.id } });
    expect((await leave(enrolled)).body).toMatchObject({ left: false });
    await age(database.db, 'UPDATE nodes SET dirty = 0, wipe_due_at = NULL WHERE id = ?', [enrolled.id]);
    expect((await leave(enrolled)).body).toMatchObject({ left: true, status: 'retired' });
    expect((await leave(enrolled)).status).toBe(410);
  });

  it('R6: one that nobody let in goes at once', async () => {
    const waiting = await aNode(database.db, { status: 'pending', dirty: true });
    expect((await leave(waiting)).body.left).toBe(true);
  });
});

describe('an operator decides', () => {
  const order = (id: number, verb: string, body?: object): Promise<Reply<Node>> =>
    api.call<Node>('post', `/api/nodes/${id}/${verb}`, { as: admin, body });

  it('R1: approves a machine that waits, by the fingerprint of its host key alone; it is verified and wiped before it is leased', async () => {
    const waiting = await aNode(database.db, { status: 'pending' });
    const fingerprint = fingerprintOf(waiting.hostKey);
    for (const body of [{}, { host_key_fingerprint: fingerprintOf(anSshKey()) }, { host_key_fingerprint: '' }]) {
      const refusal = await order(waiting.id, 'approve', body);
      expect(refusal).toMatchObject({ status: 409, body: { code: 'state_conflict', host_key_fingerprint: fingerprint } });
      expect(refusal.body.detail).toContain(`orion node approve ${waiting.id} --fingerprint ${fingerprint}`);
    }
    expect(await node(waiting.id)).toMatchObject({ status: 'pending' });
    expect(await order(waiting.id, 'approve', { host_key_fingerprint: fingerprint })).toMatchObject({
      status: 200,
      body: { status: 'unknown', dirty: true, free: false },
    });
    expect(await order(waiting.id, 'approve', { host_key_fingerprint: fingerprint })).toMatchObject({
      status: 409,
      body: { code: 'state_conflict' },
    });
  });

  it('R1: names a quarantined machine by its host key too, for it may never have been approved', async () => {
    const waiting = await aNode(database.db, { status: 'pending' });
    await order(waiting.id, 'quarantine', { reason: 'odd' });
    expect((await order(waiting.id, 'approve', {})).status).toBe(409);
    expect((await order(waiting.id, 'approve', { host_key_fingerprint: fingerprintOf(waiting.hostKey) })).status).toBe(200);
  });

  it('R1: approves a changed host key only by naming it', async () => {
    const enrolled = await aNode(database.db);
    const offered = anSshKey();
    await register(aMachine({ host_key: offered }), { credential: enrolled.credential });
    expect(await order(enrolled.id, 'approve', {})).toMatchObject({
      status: 409,
      body: { offered_host_key_fingerprint: fingerprintOf(offered) },
    });
    expect((await order(enrolled.id, 'approve', { host_key_fingerprint: fingerprintOf(enrolled.hostKey) })).status).toBe(409);
    expect(await order(enrolled.id, 'approve', { host_key_fingerprint: fingerprintOf(offered) })).toMatchObject({
      status: 200,
      body: { offered_host_key_fingerprint: null },
    });
    expect(await node(enrolled.id)).toMatchObject({ host_key: offered, host_key_fingerprint: fingerprintOf(offered), status: 'unknown' });
    expect((await register(aMachine({ host_key: offered }), { credential: enrolled.credential })).status).toBe(200);
  });

  it('R1: does not approve a host key that another node has', async () => {
    const [enrolled, other] = [await aNode(database.db), await aNode(database.db)];
    await register(aMachine({ host_key: other.hostKey }), { credential: enrolled.credential });
    expect((await order(enrolled.id, 'approve', { host_key_fingerprint: fingerprintOf(other.hostKey) })).status).toBe(409);
  });

  it('R45: drains a node, moves its lease when told to, and takes it back', async () => {
    const enrolled = await aNode(database.db);
    const lease = await aLease(database.db, { userId: admin.id, nodeId: enrolled.id });
    const state = async (): Promise<unknown> =>
      (await row<{ state: string }>(database.db, 'SELECT state FROM leases WHERE id = ?', [lease.id])).state;
    expect(await order(enrolled.id, 'drain', {})).toMatchObject({ status: 200, body: { drained: true } });
    expect(await state()).toBe('active');
    await order(enrolled.id, 'drain', { move: true });
    expect(await state()).toBe('migrating');
    expect(await order(enrolled.id, 'undrain')).toMatchObject({ status: 200, body: { drained: false } });
  });

  it('R45: quarantines with a reason, and retires for good', async () => {
    const enrolled = await aNode(database.db);
    expect(await order(enrolled.id, 'quarantine', { reason: 'smells' })).toMatchObject({
      status: 200,
      body: { status: 'quarantined', status_reason: 'smells' },
    });
    expect((await order(enrolled.id, 'quarantine', {})).status).toBe(400);
    expect(await order(enrolled.id, 'retire')).toMatchObject({ status: 200, body: { status: 'retired' } });
    expect(await order(enrolled.id, 'approve')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
    expect((await order(999_999, 'retire')).status).toBe(404);
  });
});

describe('join tokens', () => {
  it('R44: are shown once and stored hashed; lists tell how far they are used', async () => {
    const issued = await aToken({ max_uses: 2, ttl_hours: 1, labels: { zone: 'a' } });
    expect(issued.token).toMatch(new RegExp(`^orion_join_[\\w-]{43}_${controlFingerprint(CONTROL_KEY.publicKey)}$`));
    await register(aMachine({ join_token: issued.token }));
    const list = await api.call('get', '/api/tokens', { as: admin });
    expect(list.body).toMatchObject({ items: [{ id: issued.id, uses: 1, max_uses: 2, labels: { zone: 'a' } }], next_cursor: null });
    expect(list.text).not.toContain(issued.token);
    expect(JSON.stringify(await row(database.db, 'SELECT * FROM join_tokens'))).not.toContain(issued.token);
    expect((await api.call('delete', '/api/tokens/999999', { as: admin })).status).toBe(404);
  });

  it.each([
    { name: '' },
    { name: 'a\nb' },
    { max_uses: 0 },
    { ttl_hours: 0 },
    { ttl_hours: -1 },
    { ttl_hours: 1e9 },
    { labels: { a: '$(id)' } },
  ])('R1: refuses to issue one with %j', async (change) => {
    expect((await api.call('post', '/api/tokens', { as: admin, body: { name: 'x', ...change } })).status).toBe(400);
  });
});
