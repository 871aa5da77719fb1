import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { signUp } from '../../../src/flows/accounts/sign-up';
import { fingerprintOf } from '../../../src/lib/host-key';
import { noteSessions, type User } from '../../../src/modules/accounts';
import { createHttpClient, type HttpAnswer } from '../../chaos/http/client';
import { JWT_KEY, type Method } from '../../support/api';
import { aLease, aNode, aUser, type TestNode } from '../../support/builders';
import { close, useForAll, useTestApi, useTestDatabase } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import { checksums, expectRefusal } from './support';

const database = useTestDatabase();
const api = useTestApi(database);
const client = useForAll(() => createHttpClient(4), close);
const CREDENTIALS = { username: 'grace', password: 'a password of grace' };
beforeAll(() => signUp({ db: database.db }, { ...CREDENTIALS, role: 'user', maxLeases: 5, maxLeaseHours: 24 }), 60_000);

/** What a request is about. `user` owns the lease and the key. */
interface Scene {
  user: User;
  other: User;
  admin: User;
  worker: TestNode;
  lease: number;
  key: number;
  token: number;
  pending: TestNode;
  /** Of the user: the id of a token. */
  session: string;
}

async function aScene(): Promise<Scene> {
  const { db } = database;
  const [user, other, admin] = await Promise.all([aUser(db), aUser(db), aUser(db, { role: 'admin' })]);
  const [node, worker, pending] = await Promise.all([aNode(db), aNode(db), aNode(db, { status: 'pending' }), aNode(db)]);
  const [lease, key, token] = await Promise.all([
    aLease(db, { userId: user.id, nodeId: node.id }),
    api.call<{ id: number }>('post', '/api/keys', { as: user, body: { public_key: anSshKey() } }),
    api.call<{ id: number }>('post', '/api/tokens', { as: admin, body: { name: 'lab' } }),
  ]);
  const session = randomUUID();
  const now = Date.now() / 1000;
  await noteSessions(db, [
    {
      tokenId: session,
      userId: user.id,
      issuedAtSeconds: now,
      expiresAtSeconds: now + 60,
      address: undefined,
      client: undefined,
      ageSeconds: 0,
    },
  ]);
  return { user, other, admin, worker, lease: lease.id, key: key.body.id, token: token.body.id, pending, session };
}

/** Tokens that nobody may be let in with, whatever the route. */
const BAD: Record<string, (scene: Scene) => string> = {
  garbage: () => 'garbage',
  expired: ({ admin }) => crafted(admin, { exp: 1 }),
  'of another issuer': ({ admin }) => crafted(admin, { iss: 'other' }),
  'for another audience': ({ admin }) => crafted(admin, { aud: 'other' }),
  'without a signature': ({ admin }) => jwt.sign(claimsOf(admin), '', { algorithm: 'none' }),
  'signed with another key': ({ admin }) => jwt.sign(claimsOf(admin), 'another key that is also long enough', { algorithm: 'HS256' }),
  'of a node that there is not': () => `orion_node_${'A'.repeat(43)}`,
};

const claimsOf = (user: User): object => ({
  sub: String(user.id),
  jti: '2f1a3c1e-6f0f-4e1e-9d8e-1b2c3d4e5f60',
  iss: 'orion',
  aud: 'orion-api',
  exp: Math.floor(Date.now() / 1000) + 60,
});
const crafted = (user: User, change: object): string => jwt.sign({ ...claimsOf(user), ...change }, JWT_KEY, { algorithm: 'HS256' });

const CALLERS = ['nobody', 'bad', 'worker', 'other', 'user', 'admin'] as const;
type Caller = (typeof CALLERS)[number];
/** By caller, in the order of CALLERS. `bad` stands for each of BAD. */
type Statuses = [nobody: number, bad: number, worker: number, other: number, user: number, admin: number];
type Body = (scene: Scene, caller: Caller) => object;
type Row = [method: Method, path: string, about: keyof Scene | null, body: Body | null, statuses: Statuses];

const aMachine: Body = ({ worker }, caller) => ({ hostname: 'edge-1', host_key: caller === 'worker' ? worker.hostKey : anSshKey() });
const theLease: Body = ({ lease }) => ({ lease_id: lease });
const nothing: Body = () => ({});
const FOR_ADMINS: Statuses = [401, 401, 401, 403, 403, 200];

/**
 * The one table of who may call what. The request is one that would succeed for whoever may; what is addressed (`{id}`) is the user's, or
 * the fleet's.
 */
const ROUTES: Row[] = [
  [
    'post',
    '/api/signup',
    null,
    () => ({ username: `u${Math.random().toString(36).slice(2, 12)}`, password: 'long enough one' }),
    [201, 201, 201, 201, 201, 201],
  ],
  ['post', '/api/login', null, () => CREDENTIALS, [200, 200, 200, 200, 200, 200]],
  ['post', '/api/logout', null, null, [401, 401, 401, 204, 204, 204]],
  ['get', '/api/me', null, null, [401, 401, 401, 200, 200, 200]],
  [
    'post',
    '/api/password',
    null,
    () => ({ username: CREDENTIALS.username, code: 'orion_code_wrong', new_password: 'long enough one' }),
    [401, 401, 401, 401, 401, 401],
  ],
  // Whoever may call it does not know this password: see access/passwords.test.ts.
  ['post', '/api/me/password', null, () => ({ old_password: 'wrong', new_password: 'long enough one' }), [401, 401, 401, 401, 401, 401]],
  ['get', '/api/me/sessions', null, null, [401, 401, 401, 200, 200, 200]],
  ['delete', '/api/me/sessions', null, null, [401, 401, 401, 204, 204, 204]],
  ['delete', '/api/me/sessions/{id}', 'session', null, [401, 401, 401, 404, 204, 404]],
  ['get', '/api/keys', null, null, [401, 401, 401, 200, 200, 200]],
  ['post', '/api/keys', null, () => ({ public_key: anSshKey() }), [401, 401, 401, 201, 201, 201]],
  ['delete', '/api/keys/{id}', 'key', null, [401, 401, 401, 404, 204, 404]],
  ['get', '/api/users', null, null, FOR_ADMINS],
  ['post', '/api/users', null, () => ({ username: `u${Math.random().toString(36).slice(2, 12)}` }), [401, 401, 401, 403, 403, 201]],
  ['get', '/api/users/{id}', 'other', null, FOR_ADMINS],
  ['delete', '/api/users/{id}', 'other', null, FOR_ADMINS],
  ['post', '/api/users/{id}/reset-password', 'other', null, [401, 401, 401, 403, 403, 201]],
  ['patch', '/api/users/{id}', 'other', () => ({ max_leases: 7 }), FOR_ADMINS],
  ['post', '/api/rent', null, () => ({ duration_hours: 1, ssh_public_key: anSshKey() }), [401, 401, 401, 201, 201, 201]],
  ['post', '/api/extend', null, (scene, caller) => ({ ...theLease(scene, caller), duration_hours: 1 }), [401, 401, 401, 404, 200, 200]],
  ['post', '/api/release', null, theLease, [401, 401, 401, 404, 200, 200]],
  ['get', '/api/leases', null, null, [401, 401, 401, 200, 200, 200]],
  ['get', '/api/leases/{id}', 'lease', null, [401, 401, 401, 404, 200, 200]],
  ['get', '/api/nodes', null, null, [401, 401, 401, 200, 200, 200]],
  ['get', '/api/nodes/stream', null, null, [401, 401, 401, 200, 200, 200]],
  ['post', '/api/nodes/{id}/approve', 'pending', ({ pending }) => ({ host_key_fingerprint: fingerprintOf(pending.hostKey) }), FOR_ADMINS],
  ['post', '/api/nodes/{id}/drain', 'pending', nothing, FOR_ADMINS],
  ['post', '/api/nodes/{id}/undrain', 'pending', null, FOR_ADMINS],
  ['post', '/api/nodes/{id}/quarantine', 'pending', () => ({ reason: 'it smokes' }), FOR_ADMINS],
  ['post', '/api/nodes/{id}/retire', 'pending', null, FOR_ADMINS],
  ['post', '/api/nodes/{id}/label', 'pending', () => ({ set: { room: 'lab-1' } }), FOR_ADMINS],
  ['post', '/api/nodes/{id}/limit', 'pending', () => ({ max_cpus: 1 }), FOR_ADMINS],
  ['post', '/api/nodes/{id}/shared-storage', 'pending', () => ({ policy: 'allow' }), FOR_ADMINS],
  ['post', '/api/tokens', null, () => ({ name: 'lab' }), [401, 401, 401, 403, 403, 201]],
  ['get', '/api/jobs', null, null, FOR_ADMINS],
  ['get', '/api/audit', null, null, FOR_ADMINS],
  // Nothing is sealed here.
  ['get', '/api/audit/head', null, null, [401, 401, 401, 403, 403, 404]],
  ['get', '/api/audit/proof', null, null, [401, 401, 401, 403, 403, 404]],
  ['get', '/api/audit/entries', null, null, FOR_ADMINS],
  ['get', '/api/support', null, null, FOR_ADMINS],
  ['get', '/api/tokens', null, null, FOR_ADMINS],
  ['delete', '/api/tokens/{id}', 'token', null, FOR_ADMINS],
  ['post', '/api/workers/challenge', null, nothing, [200, 200, 200, 200, 200, 200]],
  // Without a proof of its host key a machine registers by its credential alone, as agents of the release before do: see
  // enrolment-proof.test.ts.
  ['post', '/api/register', null, aMachine, [401, 401, 200, 401, 401, 401]],
  ['post', '/api/workers/register', null, aMachine, [401, 401, 200, 401, 401, 401]],
  ['post', '/api/workers/heartbeat', null, nothing, [401, 401, 200, 401, 401, 401]],
  ['post', '/api/workers/leave', null, null, [401, 401, 200, 401, 401, 401]],
  ['get', '/api/workers/audit/consistency', null, null, [401, 401, 400, 401, 401, 401]],
];

interface Asking {
  scene: Scene;
  caller: Caller;
  bearer: string | undefined;
}

function ask([method, path, about, body]: Row, { scene, caller, bearer }: Asking): Promise<HttpAnswer> {
  const subject = about === null ? '' : scene[about];
  return client.send(api.url, {
    method: method.toUpperCase(),
    path: path.replace('{id}', String(typeof subject === 'object' ? subject.id : subject)),
    headers: {
      ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
      ...(body ? { 'Content-Type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body(scene, caller)) } : {}),
    untilFirstByte: true,
  });
}

const bearersOf = (caller: Caller, scene: Scene): [string, string | undefined][] => {
  switch (caller) {
    case 'nobody':
      return [['nobody', undefined]];
    case 'bad':
      return Object.entries(BAD).map(([what, make]) => [`a token ${what}`, make(scene)]);
    case 'worker':
      return [['a worker', scene.worker.credential]];
    default:
      return [[caller, api.tokenOf(scene[caller])]];
  }
};

interface Document {
  paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
}
const document = async (): Promise<Document> => (await api.call<Document>('get', '/api/openapi.json')).body;

describe('who may call what', () => {
  it('the table of this test has every documented route', async () => {
    const documented = Object.entries((await document()).paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(documented.toSorted()).toEqual(ROUTES.map(([method, path]) => `${method} ${path}`).toSorted());
  });

  it.each(ROUTES.map((row) => [row[0], row[1], row] as const))('R10: %s %s', async (method, path, row) => {
    const statuses = row[4];
    const documented = Object.keys((await document()).paths[path]?.[method]?.responses ?? {});
    expect(documented).toEqual(expect.arrayContaining([...new Set(statuses)].map(String)));
    const refused = await aScene();
    const before = await checksums(database.db);
    for (const [n, caller] of CALLERS.entries()) {
      const expected = statuses[n] ?? 0;
      const scene = expected < 400 ? await aScene() : refused;
      for (const [who, bearer] of bearersOf(caller, scene)) {
        const answer = await ask(row, { scene, caller, bearer });
        expect([who, answer.status]).toEqual([who, expected]);
        if (expected >= 400) {
          expectRefusal(answer, who);
        }
      }
      if (CALLERS.slice(0, n + 1).every((_, at) => (statuses[at] ?? 0) >= 400)) {
        expect([caller, await checksums(database.db)]).toEqual([caller, before]);
      }
    }
  });

  it('R10: an account that was disabled, and a token that was logged out, are let in nowhere, at once', async () => {
    const { user, admin } = await aScene();
    const [token, kept] = [api.tokenOf(user), api.tokenOf(user)];
    expect((await api.call('post', '/api/logout', { as: token })).status).toBe(204);
    expect([(await api.call('get', '/api/me', { as: token })).status, (await api.call('get', '/api/me', { as: kept })).status]).toEqual([
      401, 200,
    ]);
    expect((await api.call('patch', `/api/users/${user.id}`, { as: admin, body: { disabled: true } })).status).toBe(200);
    expect((await api.call('get', '/api/me', { as: kept })).status).toBe(401);
  });

  it("R10: an admin who was demoted is one no more: the token of before is void, and a new one is a user's", async () => {
    const [boss, other] = [await aUser(database.db, { role: 'admin' }), await aUser(database.db, { role: 'admin' })];
    const token = api.tokenOf(other);
    expect((await api.call('get', '/api/users', { as: token })).status).toBe(200);
    expect((await api.call('patch', `/api/users/${other.id}`, { as: boss, body: { role: 'user' } })).status).toBe(200);
    expect((await api.call('get', '/api/users', { as: token })).status).toBe(401);
    expect((await api.call('get', '/api/users', { as: api.tokenOf(other) })).status).toBe(403);
  });

  it('R10: a token is taken from the header alone, by its scheme', async () => {
    const token = api.tokenOf((await aScene()).user);
    const me = async (headers: Record<string, string>, query = ''): Promise<number> =>
      (await api.call('get', `/api/me${query}`, { headers })).status;
    expect(await me({ Authorization: `Bearer ${token}` })).toBe(200);
    expect(await me({}, `?access_token=${token}&token=${token}`)).toBe(401);
    expect(await me({ Authorization: token })).toBe(401);
    expect(await me({ Authorization: `Basic ${token}` })).toBe(401);
    expect(await me({ Cookie: `token=${token}; Authorization=Bearer ${token}` })).toBe(401);
    expect(await me({ 'X-Forwarded-Authorization': `Bearer ${token}` })).toBe(401);
    expect((await api.call('get', '/api/me')).headers['www-authenticate']).toBe('Bearer realm="orion"');
  });
});
