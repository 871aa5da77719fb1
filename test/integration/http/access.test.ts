import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import type { User } from '../../../src/modules/accounts';
import { aNode, aUser, type TestNode } from '../../support/builders';
import { JWT_KEY, startTestApi, type Method, type TestApi } from '../../support/api';
import { openTestDatabase, type TestDatabase } from '../../support/database';

let database: TestDatabase;
let api: TestApi;
let user: User;
let admin: User;
let node: TestNode;
beforeAll(async () => {
  database = await openTestDatabase();
  api = await startTestApi(database.db);
  user = await aUser(database.db);
  admin = await aUser(database.db, { role: 'admin' });
}, 60_000);
afterAll(async () => {
  await api.close();
  await database.close();
});

type Caller = 'nobody' | 'garbage' | 'user' | 'admin' | 'node';
const CALLERS: Caller[] = ['nobody', 'garbage', 'user', 'admin', 'node'];

/** Who may call what, written down by hand. A credential that is shown but is none is refused where one is looked at. */
const MAY: Record<'public' | 'enrolling' | 'user' | 'admin' | 'node', Caller[]> = {
  public: CALLERS,
  enrolling: ['nobody', 'node'],
  user: ['user', 'admin'],
  admin: ['admin'],
  node: ['node'],
};

const ROUTES: [Method, string, keyof typeof MAY][] = [
  ['post', '/api/signup', 'public'], ['post', '/api/login', 'public'], ['get', '/api/me', 'user'],
  ['get', '/api/keys', 'user'], ['post', '/api/keys', 'user'], ['delete', '/api/keys/{id}', 'user'],
  ['get', '/api/users', 'admin'], ['patch', '/api/users/{id}', 'admin'],
  ['post', '/api/rent', 'user'], ['post', '/api/extend', 'user'], ['post', '/api/release', 'user'], ['get', '/api/leases', 'user'], ['get', '/api/leases/{id}', 'user'],
  ['get', '/api/nodes', 'user'],
  ['post', '/api/nodes/{id}/approve', 'admin'], ['post', '/api/nodes/{id}/drain', 'admin'], ['post', '/api/nodes/{id}/undrain', 'admin'],
  ['post', '/api/nodes/{id}/quarantine', 'admin'], ['post', '/api/nodes/{id}/retire', 'admin'],
  ['post', '/api/tokens', 'admin'], ['get', '/api/tokens', 'admin'], ['delete', '/api/tokens/{id}', 'admin'],
  ['post', '/api/register', 'enrolling'], ['post', '/api/workers/register', 'enrolling'], ['post', '/api/workers/heartbeat', 'node'], ['post', '/api/workers/leave', 'node'],
  ['post', '/api/logout', 'user'],
];
/** Answers without an end; its test is in stream.test.ts. */
const STREAM = 'get /api/nodes/stream';

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { responses: Record<string, unknown>; security: object[] }>>;
  components: { schemas: Record<string, unknown> };
}
const read = async (): Promise<Document> => (await api.call<Document>('get', '/api/openapi.json')).body;

const bearerOf = (caller: Caller): string | undefined =>
  ({ nobody: undefined, garbage: 'garbage', user: api.tokenOf(user), admin: api.tokenOf(admin), node: node.credential })[caller];

describe('who may call what', () => {
  it('the table of this test has every documented route', async () => {
    const { paths } = await read();
    const documented = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`));
    expect(documented.toSorted()).toEqual([...ROUTES.map(([method, path]) => `${method} ${path}`), STREAM].toSorted());
  });

  it.each(ROUTES)('R10: %s %s is for %s', async (method, path, access) => {
    const { responses } = (await read()).paths[path]?.[method] ?? { responses: {} };
    for (const caller of CALLERS) {
      node = await aNode(database.db, { status: 'pending' });
      const { status } = await api.call(method, path.replace('{id}', '999999'), { as: bearerOf(caller), body: method === 'get' ? undefined : {} });
      expect([caller, Object.keys(responses)]).toEqual([caller, expect.arrayContaining([String(status)])]);
      expect(status).toBeLessThan(500);
      if (MAY[access].includes(caller)) {
        expect([caller, [401, 403].includes(status) && path !== '/api/login']).toEqual([caller, false]);
      } else {
        expect([caller, status]).toEqual([caller, access === 'admin' && caller === 'user' ? 403 : 401]);
      }
    }
  });

  it('the stream of nodes is for those who are logged in', async () => {
    node = await aNode(database.db);
    for (const caller of ['nobody', 'garbage', 'node'] as const) {
      expect((await api.call('get', '/api/nodes/stream', { as: bearerOf(caller) })).status).toBe(401);
    }
  });
});

describe('access tokens', () => {
  const claims = { sub: '1', jti: '2f1a3c1e-6f0f-4e1e-9d8e-1b2c3d4e5f60', iss: 'orion', aud: 'orion-api' };
  const good: jwt.SignOptions = { algorithm: 'HS256', expiresIn: 60 };
  const me = (token: string): Promise<{ status: number }> => api.call('get', '/api/me', { as: token });
  const mine = (): typeof claims => ({ ...claims, sub: String(user.id) });

  it('R10: one that was made by hand in the same way is good: what follows is refused for what it differs in', async () => {
    expect((await me(jwt.sign(mine(), JWT_KEY, good))).status).toBe(200);
  });

  it.each<[string, () => string]>([
    ['another algorithm of the same family', () => jwt.sign(mine(), JWT_KEY, { ...good, algorithm: 'HS512' })],
    ['no signature', () => jwt.sign(mine(), '', { ...good, algorithm: 'none' })],
    ['no signature but a claim to have one', () => `${jwt.sign(mine(), JWT_KEY, good).split('.').slice(0, 2).join('.')}.`],
    ['another issuer', () => jwt.sign({ ...mine(), iss: 'other' }, JWT_KEY, good)],
    ['no issuer', () => jwt.sign({ ...mine(), iss: undefined }, JWT_KEY, good)],
    ['another audience', () => jwt.sign({ ...mine(), aud: 'other' }, JWT_KEY, good)],
    ['no audience', () => jwt.sign({ ...mine(), aud: undefined }, JWT_KEY, good)],
    ['no expiry', () => jwt.sign(mine(), JWT_KEY, { algorithm: 'HS256' })],
    ['an expiry that has passed', () => jwt.sign(mine(), JWT_KEY, { ...good, expiresIn: -1 })],
    ['no id', () => jwt.sign({ ...mine(), jti: undefined }, JWT_KEY, good)],
    ['no subject', () => jwt.sign({ ...mine(), sub: undefined }, JWT_KEY, good)],
    ['a subject that nobody has', () => jwt.sign({ ...mine(), sub: '987654' }, JWT_KEY, good)],
    ['a subject that is no number', () => jwt.sign({ ...mine(), sub: '1 OR 1=1' }, JWT_KEY, good)],
    ['another key', () => jwt.sign(mine(), 'another key that is also long enough', good)],
    ['an edited payload', () => {
      const [head = '', , tail = ''] = jwt.sign(mine(), JWT_KEY, good).split('.');
      return [head, Buffer.from(JSON.stringify({ ...claims, sub: String(admin.id), exp: 9e9 })).toString('base64url'), tail].join('.');
    }],
  ])('R10: one with %s is refused', async (_what, make) => {
    expect((await me(make())).status).toBe(401);
  });

  it('R10: is taken from the header alone, by its scheme', async () => {
    const token = api.tokenOf(user);
    expect((await api.call('get', `/api/me?access_token=${token}`)).status).toBe(401);
    expect((await api.call('get', '/api/me', { headers: { Authorization: token } })).status).toBe(401);
    expect((await api.call('get', '/api/me', { headers: { Authorization: `Basic ${token}` } })).status).toBe(401);
    expect((await api.call('get', '/api/me', { headers: { Cookie: `token=${token}` } })).headers['www-authenticate']).toBe('Bearer realm="orion"');
  });
});
