import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Endpoint, IssuedJoinToken, Key, OneTimeCode, OpenSession } from '../../../src/contract';
import { ENDPOINTS } from '../../../src/contract/endpoints';
import { fingerprintOf } from '../../../src/lib/host-key';
import type { CallOptions, Method } from '../../support/api';
import { aLease, aNode } from '../../support/builders';
import { count, rows } from '../../support/database';
import { aMachine } from '../../support/enrol';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import { registerMachine } from '../../support/machine';
import type { Reply } from '../../support/wire';

jest.setTimeout(60_000);

interface EventRow {
  id: number;
  type: string;
  outcome: string | null;
  actor: string;
  user_id: number | null;
  node_id: number | null;
  address: string | null;
  request_id: string | null;
  token_id: string | null;
  data: Record<string, unknown>;
}

const database = useTestDatabase();
const api = useTestApi(database);
beforeEach(async () => {
  await api.refusals.flush();
  await database.reset();
});
const admin = useUser(database, { role: 'admin' });
const ada = useUser(database);

const lastId = (): Promise<number> => count(database.db, 'SELECT COALESCE(MAX(id), 0) FROM events');
const eventsAfter = (id: number): Promise<EventRow[]> => rows<EventRow>(database.db, 'SELECT * FROM events WHERE id > ? ORDER BY id', [id]);

/** An act: what it needs is there, and calling it changes something. */
type Act = () => Promise<Reply<unknown>>;
/** Prepares an act. */
type Scene = () => Promise<Act> | Act;

const password = 'correct horse battery';
const nameOf = ({ method, path }: Endpoint): string => `${method} ${path}`;
const send =
  (method: Method, path: string, options: CallOptions = {}): Act =>
  () =>
    api.call(method, path, options);
const order =
  (verb: string, body: object = {}, status: 'alive' | 'pending' = 'alive'): Scene =>
  async () => {
    const node = await aNode(database.db, { status, drained: verb === 'undrain' });
    const named = verb === 'approve' ? { host_key_fingerprint: fingerprintOf(node.hostKey) } : body;
    return send('post', `/api/nodes/${node.id}/${verb}`, { as: admin, body: named });
  };
const onLease =
  (path: string, body: object = {}): Scene =>
  async () => {
    const lease = await aLease(database.db, { userId: ada.id, nodeId: (await aNode(database.db)).id });
    return send('post', path, { as: ada, body: { lease_id: lease.id, ...body } });
  };
const aToken = async (): Promise<IssuedJoinToken> =>
  (await api.call<IssuedJoinToken>('post', '/api/tokens', { as: admin, body: { name: 'lab', max_uses: 2 } })).body;
const registration =
  (path: string): Scene =>
  async () => {
    const { token } = await aToken();
    return () => registerMachine(api.url, aMachine(), { joinToken: token, path });
  };

/** Of each call that changes something. */
const SCENES: Record<string, Scene> = {
  'post /api/signup': () => send('post', '/api/signup', { body: { username: 'eve', password } }),
  'post /api/login': async () => {
    await api.call('post', '/api/signup', { body: { username: 'eve', password } });
    return send('post', '/api/login', { body: { username: 'eve', password } });
  },
  'post /api/logout': () => send('post', '/api/logout', { as: ada }),
  'post /api/password': async () => {
    const { body } = await api.call<{ one_time_code: OneTimeCode }>('post', '/api/users', { as: admin, body: { username: 'eve' } });
    return send('post', '/api/password', { body: { username: 'eve', code: body.one_time_code.code, new_password: password } });
  },
  'post /api/me/password': async () => {
    await api.call('post', '/api/signup', { body: { username: 'eve', password } });
    const {
      body: { token },
    } = await api.call<{ token: string }>('post', '/api/login', { body: { username: 'eve', password } });
    return send('post', '/api/me/password', { as: token, body: { old_password: password, new_password: 'another long password' } });
  },
  'delete /api/me/sessions': () => send('delete', '/api/me/sessions', { as: ada }),
  'delete /api/me/sessions/{id}': async () => {
    const token = api.tokenOf(ada);
    await api.call('get', '/api/me', { as: token });
    await api.sessions.flush();
    const { body } = await api.call<{ items: OpenSession[] }>('get', '/api/me/sessions', { as: token });
    return send('delete', `/api/me/sessions/${body.items[0]?.id ?? ''}`, { as: token });
  },
  'post /api/users': () => send('post', '/api/users', { as: admin, body: { username: 'eve' } }),
  'delete /api/users/{id}': () => send('delete', `/api/users/${ada.username}`, { as: admin }),
  'post /api/users/{id}/reset-password': () => send('post', `/api/users/${ada.username}/reset-password`, { as: admin }),
  'post /api/keys': () => send('post', '/api/keys', { as: ada, body: { public_key: anSshKey() } }),
  'delete /api/keys/{id}': async () => {
    const { body } = await api.call<Key>('post', '/api/keys', { as: ada, body: { public_key: anSshKey() } });
    return send('delete', `/api/keys/${body.id}`, { as: ada });
  },
  'patch /api/users/{id}': () => send('patch', `/api/users/${ada.id}`, { as: admin, body: { max_leases: 999 } }),
  'post /api/rent': async () => {
    await aNode(database.db);
    return send('post', '/api/rent', { as: ada, body: { duration_hours: 1, ssh_public_key: anSshKey() } });
  },
  'post /api/extend': onLease('/api/extend', { duration_minutes: 5 }),
  'post /api/release': onLease('/api/release'),
  'post /api/nodes/{id}/approve': order('approve', {}, 'pending'),
  'post /api/nodes/{id}/drain': order('drain'),
  'post /api/nodes/{id}/undrain': order('undrain'),
  'post /api/nodes/{id}/quarantine': order('quarantine', { reason: 'a test' }),
  'post /api/nodes/{id}/retire': order('retire'),
  'post /api/nodes/{id}/label': order('label', { set: { room: 'a' } }),
  'post /api/nodes/{id}/limit': order('limit', { max_cpus: 1 }),
  'post /api/nodes/{id}/shared-storage': order('shared-storage', { policy: 'refuse' }),
  'post /api/tokens': () => send('post', '/api/tokens', { as: admin, body: { name: 'lab' } }),
  'delete /api/tokens/{id}': async () => send('delete', `/api/tokens/${(await aToken()).id}`, { as: admin }),
  'post /api/workers/register': registration('/api/workers/register'),
  'post /api/register': registration('/api/register'),
  'post /api/workers/heartbeat': async () => {
    const node = await aNode(database.db);
    const self = { hostname: 'renamed', ssh_port: 22, labels: {}, facts: { cpus: 2, memory_mb: 2048 } };
    return send('post', '/api/workers/heartbeat', { as: node.credential, body: { self } });
  },
  'post /api/workers/leave': async () => send('post', '/api/workers/leave', { as: (await aNode(database.db, { dirty: true })).credential }),
};

const changing: readonly Endpoint[] = ENDPOINTS.filter(({ audit }) => audit !== 'reads');
const guarded: readonly Endpoint[] = ENDPOINTS.filter(
  ({ access }) => access === 'session' || access === 'user' || access === 'admin' || access === 'node',
);
const typesOf = ({ audit }: Endpoint): readonly string[] => (audit === 'reads' ? [] : audit);
const anywhere = ({ path }: Endpoint): string => path.replace('{id}', '1');

describe('a call that changes something', () => {
  it('R41: has a scene here, whatever call it is', () => {
    expect(Object.keys(SCENES).toSorted()).toEqual(changing.map(nameOf).toSorted());
  });

  it.each(changing.map((endpoint): [string, Endpoint] => [nameOf(endpoint), endpoint]))(
    'R41: leaves one event of its type with its origin: %s',
    async (name, endpoint) => {
      const act = await (SCENES[name] as Scene)();
      const before = await lastId();
      const { status, headers } = await act();
      expect(status).toBeLessThan(300);
      const own = (await eventsAfter(before)).filter(({ type }) => typesOf(endpoint).includes(type));
      expect(own).toHaveLength(1);
      const byUser = ['session', 'user', 'admin'].includes(endpoint.access);
      expect(own[0]).toMatchObject({
        outcome: 'done',
        address: '127.0.0.1',
        request_id: headers['x-request-id'],
        token_id: byUser ? expect.any(String) : null,
      });
      expect(own[0]?.actor).toMatch(byUser || endpoint.access === 'public' ? /^(user|admin):\d+$/ : /^node:\d+$/);
    },
  );

  it.each(changing.map(nameOf))('R41: leaves no event of a refusal when it succeeds: %s', async (name) => {
    const act = await (SCENES[name] as Scene)();
    const before = await lastId();
    await act();
    expect((await eventsAfter(before)).filter(({ outcome }) => outcome !== 'done')).toEqual([]);
  });
});

describe('a call that only reads', () => {
  it.each(
    ENDPOINTS.filter(({ audit, path }) => audit === 'reads' && path !== '/api/nodes/stream').map((endpoint): [string, Endpoint] => [
      nameOf(endpoint),
      endpoint,
    ]),
  )('R41: leaves no event: %s', async (_name, endpoint) => {
    const as = endpoint.access === 'node' ? (await aNode(database.db)).credential : admin;
    const before = await lastId();
    await api.call(endpoint.method, anywhere(endpoint), { as, ...(endpoint.method === 'post' ? { body: {} } : {}) });
    expect(await eventsAfter(before)).toEqual([]);
  });
});

describe('a refusal', () => {
  it.each(guarded.map((endpoint): [string, Endpoint] => [nameOf(endpoint), endpoint]))(
    'R41: of a caller without a token leaves one event: %s',
    async (_name, { method, ...endpoint }) => {
      const { status, headers } = await api.call(method, anywhere({ method, ...endpoint }), method === 'get' ? {} : { body: {} });
      expect(status).toBe(401);
      expect(await eventsAfter(0)).toMatchObject([
        {
          type: 'access.refused',
          outcome: 'refused',
          actor: 'anonymous',
          address: '127.0.0.1',
          request_id: headers['x-request-id'],
          data: { method: method.toUpperCase(), path: endpoint.path, code: 'unauthenticated', count: 1 },
        },
      ]);
    },
  );

  it.each(guarded.filter(({ access }) => access === 'admin').map((endpoint): [string, Endpoint] => [nameOf(endpoint), endpoint]))(
    'R41: of a user who is no admin leaves one event: %s',
    async (_name, { method, ...endpoint }) => {
      const { status } = await api.call(method, anywhere({ method, ...endpoint }), { as: ada, ...(method === 'get' ? {} : { body: {} }) });
      expect(status).toBe(403);
      expect(await eventsAfter(0)).toMatchObject([
        {
          type: 'access.refused',
          actor: `user:${ada.id}`,
          user_id: ada.id,
          token_id: expect.any(String),
          data: { path: endpoint.path, code: 'forbidden' },
        },
      ]);
    },
  );

  it('R41: of what a handler refuses leaves one event', async () => {
    expect((await api.call('get', '/api/leases?scope=all', { as: ada })).status).toBe(403);
    await aNode(database.db);
    expect((await api.call('post', '/api/rent', { as: ada, body: { duration_hours: 1, client_id: admin.id } })).status).toBe(403);
    expect((await eventsAfter(0)).map(({ type, data }) => [type, data['path']])).toEqual([
      ['access.refused', '/api/leases'],
      ['access.refused', '/api/rent'],
    ]);
  });

  it('R41: that is repeated is counted, and not written each time', async () => {
    for (let n = 0; n < 20; n += 1) {
      await api.call('get', '/api/users', { as: ada });
    }
    expect(await eventsAfter(0)).toHaveLength(1);
    await api.refusals.flush();
    expect((await eventsAfter(0)).map(({ data }) => data['count'])).toEqual([1, 19]);
  });
});
