import { describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { createHttpClient, inParallel } from '../../chaos/http/client';
import { createForger } from '../../chaos/http/forge';
import { createRandom } from '../../chaos/random';
import { JWT_KEY, startTestApi, type TestApi } from '../../support/api';
import { aNode, aUser, type TestNode } from '../../support/builders';
import { useForAll, useTestApi, useTestDatabase } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import { registerMachine } from '../../support/machine';
import type { IssuedJoinToken } from '../../../src/contract';
import type { RegisteredJson, Reply } from '../../support/wire';
import { checksums, expectRefusal } from './support';

const database = useTestDatabase();
const api = useTestApi(database);
const replicas = [api, useTestApi(database, { ownPool: true })];
const user = useForAll(() => aUser(database.db));
const admin = useForAll(() => aUser(database.db, { role: 'admin' }));

const FORGED = 2_000;

describe('forged and edited access tokens', () => {
  const claims = (): object => ({
    sub: String(user.id),
    jti: '2f1a3c1e-6f0f-4e1e-9d8e-1b2c3d4e5f60',
    iss: 'orion',
    aud: 'orion-api',
    exp: Math.floor(Date.now() / 1000) + 60,
  });

  it('R10: one that was made by hand as the API makes them is good: what follows is refused for what it differs in', async () => {
    expect((await api.call('get', '/api/me', { as: jwt.sign(claims(), JWT_KEY, { algorithm: 'HS256' }) })).status).toBe(200);
  });

  it(`R10: of ${FORGED}, of every craft, none is let in, and each is refused in the same way`, async () => {
    const client = createHttpClient(8);
    const forge = createForger(createRandom('forged tokens'), {
      key: JWT_KEY,
      userId: user.id,
      adminId: admin.id,
      now: Math.floor(Date.now() / 1000),
    });
    const others: string[] = [];
    await inParallel(FORGED, { width: 8 }, async () => {
      const { how, token } = forge();
      const { status, text } = await client.send(api.url, {
        method: 'GET',
        path: '/api/me',
        headers: { Authorization: `Bearer ${token}` },
      });
      if (status !== 401 || !text.includes('"code":"unauthenticated"')) {
        others.push(`${how}: ${status} ${token} ${text}`);
      }
    });
    client.close();
    expect(others).toEqual([]);
  }, 60_000);

  it('R44: what a refused token says comes back in no answer', async () => {
    const token = jwt.sign({ ...claims(), note: 'canary-4711' }, 'another key that is also long enough', { algorithm: 'HS256' });
    const answer = await api.call('get', '/api/me', { as: token });
    expectRefusal(answer, 'a forged token');
    expect(answer.text + JSON.stringify(answer.headers)).not.toMatch(/canary|signature|jwt|expired/i);
  });
});

describe('rotating the key of the access tokens', () => {
  const NEW_KEY = 'the next key of the tests, long enough too';

  it('R44: in three steps, replica by replica, logs nobody out; without the old key its tokens are good no more', async () => {
    const step = (key: string, ...extraKeys: string[]): Promise<TestApi> => startTestApi(database.db, { tokens: { key, extraKeys } });
    const steps = [await step(JWT_KEY), await step(JWT_KEY, NEW_KEY), await step(NEW_KEY, JWT_KEY), await step(NEW_KEY)];
    const statusOf = async (reader: number, maker: number): Promise<number> =>
      (await (steps[reader] as TestApi).call('get', '/api/me', { as: (steps[maker] as TestApi).tokenOf(user) })).status;
    const table = await Promise.all(steps.map((_, reader) => Promise.all(steps.map((__, maker) => statusOf(reader, maker)))));
    expect(table).toEqual([
      [200, 200, 401, 401],
      [200, 200, 200, 200],
      [200, 200, 200, 200],
      [401, 401, 200, 200],
    ]);
    await Promise.all(steps.map((each) => each.close()));
  });
});

const register = (
  at: TestApi,
  { join_token: joinToken, ...body }: { join_token?: string; [member: string]: unknown },
  credential?: string,
): Promise<Reply<RegisteredJson>> =>
  registerMachine(at.url, { hostname: 'edge-1', host_key: anSshKey(), ...body }, { joinToken, credential });
const aToken = async (body: object): Promise<IssuedJoinToken> =>
  (await api.call<IssuedJoinToken>('post', '/api/tokens', { as: admin, body: { name: 'lab', ...body } })).body;

describe('a join token', () => {
  it.each([
    [1, 50],
    [5, 50],
  ])(
    'R1: for %i, raced by %i machines over two replicas, lets in exactly that many',
    async (uses, machines) => {
      const { id, token } = await aToken({ max_uses: uses });
      const answers = await Promise.all(
        Array.from({ length: machines }, (_, n) => register(replicas[n % 2] as TestApi, { join_token: token, hostname: `race-${uses}` })),
      );
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(uses);
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(machines - uses);
      answers.filter(({ status }) => status === 401).forEach((answer) => expectRefusal(answer, 'a token that is used up'));
      const listed = (await api.call<{ items: IssuedJoinToken[] }>('get', '/api/tokens?limit=500', { as: admin })).body.items.find(
        (each) => each.id === id,
      );
      expect(listed?.uses).toBe(uses);
      const enrolled = (await api.call<{ items: { hostname: string }[] }>('get', '/api/nodes?limit=500', { as: admin })).body.items.filter(
        ({ hostname }) => hostname === `race-${uses}`,
      );
      expect(enrolled).toHaveLength(uses);
    },
    30_000,
  );

  it('R1: revoked in the middle of the rush, it lets nobody in from then on', async () => {
    const { id, token } = await aToken({ max_uses: 100 });
    const rush = Array.from({ length: 30 }, (_, n) => register(replicas[n % 2] as TestApi, { join_token: token }));
    await api.call('delete', `/api/tokens/${id}`, { as: admin });
    expect((await register(api, { join_token: token })).status).toBe(401);
    expect(new Set((await Promise.all(rush)).map(({ status }) => [201, 401].includes(status)))).toEqual(new Set([true]));
  });

  it.each(['', ' ', 'orion_join_', `orion_join_${'A'.repeat(43)}`, "' OR uses < max_uses -- ", '%', '\u0000', 'ORION_JOIN_'])(
    'R1: %j is none',
    async (join_token) => {
      const before = await checksums(database.db);
      expectRefusal(await register(api, { join_token }), JSON.stringify(join_token));
      expect(await checksums(database.db)).toEqual(before);
    },
  );
});

describe("a node's credential", () => {
  const sendHeartbeat = (node: TestNode, body: object = {}): Promise<Reply<{ status: string; accounts: object[] }>> =>
    api.call('post', '/api/workers/heartbeat', { as: node.credential, body });

  it('R2: speaks for its own node and for no other, whatever the body says', async () => {
    const [mine, theirs] = [await aNode(database.db), await aNode(database.db)];
    const before = (await database.db('nodes').where({ id: theirs.id }).first()) as object;
    await sendHeartbeat(mine, { node_id: theirs.id, id: theirs.id, load1: 3 });
    expect((await register(api, { host_key: theirs.hostKey }, mine.credential)).status).toBe(409);
    await api.call('post', '/api/workers/leave', { as: mine.credential, body: { node_id: theirs.id } });
    expect(await database.db('nodes').where({ id: theirs.id }).first()).toEqual(before);
    expect(await database.db('nodes').where({ id: mine.id }).first()).toMatchObject({ status: 'retired' });
  });

  it('R2: cut, made longer or in other letters it is none', async () => {
    const { credential } = await aNode(database.db);
    for (const wrong of [
      credential.slice(0, -1),
      `${credential}A`,
      credential.toUpperCase(),
      credential.replace('orion_node_', ''),
      `${credential}%00`,
      "' OR 1=1 -- ",
    ]) {
      expectRefusal(await sendHeartbeat({ id: 0, hostKey: '', credential: wrong }), wrong);
    }
  });

  it('R2: that was replaced at a new enrolment is none any more', async () => {
    const { token } = await aToken({ max_uses: 2 });
    const hostKey = anSshKey();
    const [first, second] = [
      await register(api, { host_key: hostKey, join_token: token }),
      await register(api, { host_key: hostKey, join_token: token }),
    ];
    expect(second.body.node_id).toBe(first.body.node_id);
    const statusOf = async (credential = ''): Promise<number> => (await sendHeartbeat({ id: 0, hostKey, credential })).status;
    expect([await statusOf(first.body.credential), await statusOf(second.body.credential)]).toEqual([401, 200]);
  });
});
