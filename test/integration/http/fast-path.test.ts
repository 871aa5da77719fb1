import { beforeEach, describe, expect, it } from '@jest/globals';
import { issueAccessToken, type User } from '../../../src/modules/accounts';
import { eventually } from '../../lab';
import { JWT_KEY, startTestApi } from '../../support/api';
import { aUser, severalNodes } from '../../support/builders';
import { count } from '../../support/database';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { Lease, Rented } from '../../../src/contract';

const CHECKPOINTS = { intervalSeconds: 300, maxBytes: 2 ** 20 };

const database = useTestDatabase({ resetEach: true });
const quick = useTestApi(database);
const impatient = useTestApi(database, { flows: { rentWaitSeconds: 0, checkpoints: CHECKPOINTS } });
const user = useUser(database, { maxLeases: 50 });
beforeEach(() => severalNodes(database.db, 40));

const wish = { duration_hours: 1, ssh_public_key: anSshKey() };
const JSON_TYPE = { 'Content-Type': 'application/json' };

const OF_EACH_ANSWER = new Set(['date', 'content-length', 'x-request-id', 'retry-after']);

interface Call {
  path?: string;
  as?: User | string;
  body: string | object;
  headers?: Record<string, string>;
}

describe('a rent past Express', () => {
  const calls = (): [string, number, Call][] => [
    ['good', 201, { as: user, body: wish }],
    ['with a key', 201, { as: user, body: wish, headers: { 'Idempotency-Key': 'mine' } }],
    ['repeated', 200, { as: user, body: wish, headers: { 'Idempotency-Key': 'mine' } }],
    ['another with that key', 422, { as: user, body: { ...wish, count: 2 }, headers: { 'Idempotency-Key': 'mine' } }],
    ['a key that is none', 400, { as: user, body: wish, headers: { 'Idempotency-Key': 'two words' } }],
    ['too short', 400, { as: user, body: { ...wish, duration_hours: 0.001 } }],
    ['for another', 403, { as: user, body: { ...wish, client_id: user.id + 1 } }],
    ['too many', 422, { as: user, body: { ...wish, count: 51 } }],
    ['without a key to log in with', 422, { as: user, body: { duration_hours: 1 } }],
    ['a key that is no SSH key', 400, { as: user, body: { ...wish, ssh_public_key: 'ssh-ed25519 AAAA' } }],
    ['no node like that', 503, { as: user, body: { ...wish, requirements: { cpus: 4096 } } }],
    ['a field too many', 400, { as: user, body: { ...wish, surprise: 1 } }],
    ['half of a pair', 400, { as: user, body: '{"duration_hours":1,"requirements":{"labels":{"a":"\\ud800"}}}', headers: JSON_TYPE }],
    ['no JSON', 400, { as: user, body: '{', headers: JSON_TYPE }],
    ['no UTF-8', 415, { as: user, body: '{}', headers: { 'Content-Type': 'application/json; charset=latin1' } }],
    ['a form', 415, { as: user, body: 'a=b', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }],
    ['of nobody', 401, { body: wish }],
    ['with a made-up token', 401, { as: 'a.b.c', body: wish }],
    ['with a question', 201, { path: '/api/rent?x=1', as: user, body: wish }],
    ['in other letters', 404, { path: '/API/Rent/', as: user, body: wish }],
  ];

  /** JSON that is not named in the usual way: Express takes it. */
  const byRoute = ({ headers = {}, ...call }: Call): Call => {
    const type = { 'Content-Type': 'application/json;charset="utf-8"' };
    const isJson = (headers['Content-Type'] ?? 'application/json') === 'application/json';
    const key: Record<string, string> = headers['Idempotency-Key'] === 'mine' ? { 'Idempotency-Key': 'yours' } : {};
    return { ...call, headers: { ...headers, ...(isJson ? type : {}), ...key } };
  };

  it('R11: is answered as the route in Express answers, whatever comes', async () => {
    const seen = async ({ path = '/api/rent', ...call }: Call): Promise<unknown> => {
      const { status, body, headers } = await quick.call<Rented>('post', path, call);
      const others = Object.entries(headers)
        .filter(([name]) => !OF_EACH_ANSWER.has(name))
        .sort();
      const [lease] = (body as Partial<Rented>).leases ?? [];
      return {
        status,
        code: body.code,
        fields: lease && Object.keys(lease).sort(),
        state: lease?.state,
        others,
        requestId: /^[0-9a-f-]{36}$/.test(headers['x-request-id'] ?? ''),
      };
    };
    for (const [what, status, call] of calls()) {
      const [one, other] = [await seen(call), await seen(byRoute(call))];
      expect([what, one]).toEqual([what, other]);
      expect([what, one]).toEqual([what, expect.objectContaining({ status })]);
    }
  });

  it('R36: ends its connection while the replica stops', async () => {
    const going = await startTestApi(database.db);
    going.readiness.stop();
    expect((await going.call('post', '/api/rent', { as: user, body: wish })).headers['connection']).toBe('close');
    await going.close();
  });
});

describe('a rent that waits for nothing', () => {
  it('R11: is answered with the lease as it was committed, which is what is read of it afterwards', async () => {
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    impatient.provisioner.behave(() => held);
    const answer = await impatient.call<Rented>('post', '/api/rent', { as: user, body: { ...wish, count: 2, checkpoint: false } });
    expect(answer.status).toBe(202);
    expect(answer.body.leases).toHaveLength(2);
    for (const { remaining_seconds: remaining, ...lease } of answer.body.leases) {
      const { body: read } = await impatient.call<Lease>('get', `/api/leases/${lease.id}`, { as: user });
      expect(read).toMatchObject(lease);
      expect(read.remaining_seconds).toBeLessThanOrEqual(remaining);
      expect(lease).toMatchObject({ state: 'provisioning', access: null, checkpoint: { enabled: false, last_at: null } });
    }
    letGo();
    await eventually(async () => (await count(database.db, "SELECT COUNT(*) FROM leases WHERE state = 'active'")) === 2, {
      what: 'both accounts are there',
    });
  });
});

describe('tokens that are shown together', () => {
  it('R10: are judged each by itself: good, over, revoked, of a disabled account', async () => {
    const [gone, other] = [await aUser(database.db), await aUser(database.db)];
    const of = (owner: User, at = new Date()): string => issueAccessToken(owner, { key: JWT_KEY, ttlSeconds: 60 }, at);
    const loggedOut = of(user);
    const tokens: [string, number][] = [
      [of(user), 200],
      [loggedOut, 401],
      [of(user, new Date(Date.now() - 120_000)), 401],
      [of(gone), 401],
      [of(other), 200],
      ['a.b.c', 401],
      [of({ ...user, id: 999_999 }), 401],
    ];
    const askAll = (): Promise<number[]> =>
      Promise.all(
        Array.from({ length: 5 }, () => tokens)
          .flat()
          .map(async ([token]) => (await quick.call('get', '/api/me', { as: token })).status),
      );
    await askAll();
    expect((await quick.call('post', '/api/logout', { as: loggedOut })).status).toBe(204);
    await database.db.raw('UPDATE users SET disabled_at = UTC_TIMESTAMP(3) WHERE id = ?', [gone.id]);
    expect(await askAll()).toEqual(Array.from({ length: 5 }, () => tokens.map(([, status]) => status)).flat());
    expect((await quick.call('post', '/api/rent', { as: loggedOut, body: wish })).status).toBe(401);
    expect(await count(database.db, 'SELECT COUNT(*) FROM leases')).toBe(0);
  });
});
