import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { LoginAnswer, OneTimeCode, OpenSession, User as UserJson } from '../../../src/contract';
import { hashPassword, lockUserWithPassword, type User } from '../../../src/modules/accounts';
import { transaction } from '../../../src/db/transaction';
import { ENDPOINTS } from '../../../src/contract/endpoints';
import { startTestApi, type TestApi } from '../../support/api';
import { aUser } from '../../support/builders';
import { count, openTestDatabase, rows, type TestDatabase } from '../../support/database';
import type { Reply } from '../../support/wire';

jest.setTimeout(60_000);

let database: TestDatabase;
let api: TestApi;
let other: TestApi;
let admin: User;
const OLD = 'correct horse battery';
const NEW = 'another long password';
beforeAll(async () => {
  database = await openTestDatabase();
  [api, other] = await Promise.all([startTestApi(database.db, { settings: { signup: 'closed' } }), startTestApi(database.secondPool())]);
}, 60_000);
afterAll(async () => {
  await Promise.all([api.close(), other.close()]);
  await database.close();
});
beforeEach(async () => {
  await database.reset();
  admin = await aUser(database.db, { role: 'admin' });
});

const logIn = (password: string, username = 'ada'): Promise<Reply<LoginAnswer>> =>
  api.call<LoginAnswer>('post', '/api/login', { body: { username, password }, headers: { 'User-Agent': 'laptop é' } });
const statusOf = async (token: string, at = other): Promise<number> => (await at.call('get', '/api/me', { as: token })).status;
async function ada(): Promise<string> {
  await other.call('post', '/api/signup', { body: { username: 'ada', password: OLD } });
  return (await logIn(OLD)).body.token;
}
const create = (body: object): Promise<Reply<{ user: UserJson; one_time_code: OneTimeCode | null }>> =>
  api.call('post', '/api/users', { as: admin, body });
const useCode = (code: string | undefined, new_password = NEW): Promise<Reply<LoginAnswer>> =>
  api.call('post', '/api/password', { body: { username: 'ada', code, new_password } });
const codeFor = async (name = 'ada'): Promise<string> =>
  (await api.call<OneTimeCode>('post', `/api/users/${name}/reset-password`, { as: admin })).body.code;

describe('a password that its user changes', () => {
  const change = (as: string, old_password = OLD, new_password = NEW): Promise<Reply<LoginAnswer>> =>
    api.call('post', '/api/me/password', { as, body: { old_password, new_password } });

  it('R10: logs in from then on, and ends all other tokens on every replica; the answer has a new one', async () => {
    const [first, second] = [await ada(), (await logIn(OLD)).body.token];
    const { status, body, headers } = await change(first);
    expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
    expect(await Promise.all([first, second, body.token].map((token) => statusOf(token)))).toEqual([401, 401, 200]);
    expect([(await logIn(OLD)).status, (await logIn(NEW)).status]).toEqual([401, 200]);
  });

  it('R10: needs the old one, which is counted as a login is, and must be another one', async () => {
    const token = await ada();
    expect(await change(token, 'a guess of somebody')).toMatchObject({ status: 401, body: { code: 'bad_credentials' } });
    expect(await change(token, OLD, OLD)).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(await change(token, OLD, 'short')).toMatchObject({ status: 400 });
    expect(await statusOf(token)).toBe(200);
    // An earlier test may have recorded the first failure of this minute. The others are counted.
    await api.refusals.flush();
    const failed = await rows<{ data: unknown }>(database.db, "SELECT data FROM events WHERE type = 'user.login_failed'");
    expect(failed).toHaveLength(1);
    expect(JSON.stringify(failed)).not.toContain('a guess of somebody');
  });

  it('R16: is guessed through a stolen token as often as through the login', async () => {
    const limited = await startTestApi(database.db, { limits: { loginsPerName: 3 } });
    const token = await ada();
    const guess = (n: number): Promise<Reply<unknown>> =>
      limited.call('post', '/api/me/password', { as: token, body: { old_password: `guess ${n}`, new_password: NEW } });
    const answers = [];
    for (let n = 0; n < 5; n += 1) {
      answers.push((await guess(n)).status);
    }
    expect(answers).toEqual([401, 401, 401, 429, 429]);
    await limited.close();
  });

  it('R10: lets no login with the old one through that was checked before it', async () => {
    const { id } = await aUser(database.db);
    const [before, after] = [await hashPassword(OLD), await hashPassword(NEW)];
    await database.db.raw('UPDATE users SET password_hash = ? WHERE id = ?', [after, id]);
    expect(await transaction(database.db, (tx) => lockUserWithPassword(tx, id, before))).toBe(false);
    expect(await transaction(database.db, (tx) => lockUserWithPassword(tx, id, after))).toBe(true);
  });
});

describe('an account that an operator creates', () => {
  it('R10: opens by a one-time code where sign-up is closed, once, and by nothing else', async () => {
    expect((await api.call('post', '/api/signup', { body: { username: 'eve', password: OLD } })).status).toBe(403);
    const {
      status,
      body: { user, one_time_code: code },
    } = await create({ username: 'ada', max_leases: 3 });
    expect([status, user.max_leases, user.must_change_password]).toEqual([201, 3, false]);
    expect((await logIn(code?.code ?? '')).status).toBe(401);
    expect(await useCode('orion_code_wrong')).toMatchObject({ status: 401, body: { code: 'bad_credentials' } });
    const set = await useCode(code?.code);
    expect([set.status, await statusOf(set.body.token)]).toEqual([200, 200]);
    expect((await useCode(code?.code, 'a third long password')).status).toBe(401);
    expect([(await logIn(NEW)).status, (await create({ username: 'ada' })).status]).toEqual([200, 409]);
  });

  it('R10: uses a code once, however many use it at the same time', async () => {
    const { body } = await create({ username: 'ada' });
    const answers = await Promise.all([1, 2, 3, 4].map((n) => useCode(body.one_time_code?.code, `password number ${n}`)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401, 401, 401]);
  });

  it('R44: stores a hash of the code only, and no event has it', async () => {
    const { body } = await create({ username: 'ada' });
    const stored = JSON.stringify([await rows(database.db, 'SELECT * FROM users'), await rows(database.db, 'SELECT * FROM events')]);
    expect(body.one_time_code?.code).toMatch(/^orion_code_[a-z2-9]{24}$/);
    expect(stored).not.toContain(body.one_time_code?.code);
  });

  it('R10: must change a password that the operator chose before anything else', async () => {
    expect((await create({ username: 'ada', role: 'admin', password: OLD })).body).toMatchObject({
      one_time_code: null,
      user: { must_change_password: true },
    });
    const {
      body: { token, user },
    } = await logIn(OLD);
    expect(user.must_change_password).toBe(true);
    const closed = ENDPOINTS.filter(({ access }) => access === 'user' || access === 'admin');
    for (const { method, path } of closed) {
      const answer = await api.call(method, path.replace('{id}', '1'), { as: token, ...(method === 'get' ? {} : { body: {} }) });
      expect([path, answer.status, answer.body.code]).toEqual([path, 403, 'password_change_required']);
    }
    const changed = await api.call<LoginAnswer>('post', '/api/me/password', { as: token, body: { old_password: OLD, new_password: NEW } });
    expect([changed.body.user.must_change_password, await statusOf(changed.body.token)]).toEqual([false, 200]);
  });

  it.each(['1234', 'A', ''])('R10: is not named %j', async (username) => {
    expect((await create({ username })).status).toBe(400);
  });
});

describe('a reset by an operator', () => {
  it('R10: leaves password and sessions as they are until the code is used, which ends them', async () => {
    const token = await ada();
    const code = await codeFor();
    expect([await statusOf(token), (await logIn(OLD)).status]).toEqual([200, 200]);
    expect((await useCode(code)).status).toBe(200);
    expect([await statusOf(token), (await logIn(OLD)).status, (await logIn(NEW)).status]).toEqual([401, 401, 200]);
    expect((await useCode(code, OLD)).status).toBe(401);
  });

  it('R10: replaces an earlier code, and expires', async () => {
    await ada();
    const [first, second] = [await codeFor(), await codeFor()];
    expect((await useCode(first)).status).toBe(401);
    await database.db.raw('UPDATE users SET code_expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND');
    expect((await useCode(second)).status).toBe(401);
  });

  it('R10: opens no disabled account, and is refused for one', async () => {
    await ada();
    const code = await codeFor();
    await api.call('patch', '/api/users/ada', { as: admin, body: { disabled: true } });
    expect((await useCode(code)).status).toBe(401);
    expect((await api.call('post', '/api/users/ada/reset-password', { as: admin })).status).toBe(409);
    expect((await api.call('post', '/api/users/nobody/reset-password', { as: admin })).status).toBe(404);
  });
});

describe('sessions', () => {
  const list = async (token: string): Promise<OpenSession[]> =>
    (await other.call<{ items: OpenSession[] }>('get', '/api/me/sessions', { as: token })).body.items;

  it('R10: are listed with client and address, and each ends on every replica', async () => {
    const [first, second] = [await ada(), (await logIn(OLD)).body.token];
    const found = await list(first);
    expect(found.map(({ address, client, current }) => [address, client?.startsWith('laptop'), current]).toSorted()).toEqual([
      ['127.0.0.1', true, false],
      ['127.0.0.1', true, true],
    ]);
    const ended = found.find(({ current }) => !current)?.id ?? '';
    expect((await api.call('delete', `/api/me/sessions/${ended}`, { as: first })).status).toBe(204);
    expect((await api.call('delete', `/api/me/sessions/${ended}`, { as: first })).status).toBe(204);
    expect([await statusOf(first), await statusOf(second), (await list(first)).length]).toEqual([200, 401, 1]);
    expect(await count(database.db, "SELECT COUNT(*) FROM events WHERE type = 'session.ended'")).toBe(1);
    expect((await api.call('delete', `/api/me/sessions/${ended}`, { as: admin })).status).toBe(404);
  });

  it('R10: end all at once, and a logout takes its own off the list', async () => {
    const [first, second, third] = [await ada(), (await logIn(OLD)).body.token, (await logIn(OLD)).body.token];
    await api.call('post', '/api/logout', { as: third });
    expect(await list(first)).toHaveLength(2);
    expect((await api.call('delete', '/api/me/sessions', { as: first })).status).toBe(204);
    expect(await Promise.all([first, second].map((token) => statusOf(token)))).toEqual([401, 401]);
    expect(await list((await logIn(OLD)).body.token)).toHaveLength(1);
  });

  it('R10: are noted once a minute, also those of a token that another release issued, and not at each request', async () => {
    const user = await aUser(database.db);
    const token = api.tokenOf(user);
    await Promise.all([1, 2, 3].map(() => statusOf(token, api)));
    expect(await count(database.db, 'SELECT COUNT(*) FROM sessions')).toBe(0);
    await api.sessions.flush();
    expect(await list(token)).toMatchObject([{ address: '127.0.0.1', current: true }]);
  });

  it('R10: of tokens that expired are deleted', async () => {
    const token = await ada();
    await database.db.raw('UPDATE sessions SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 2 HOUR');
    await statusOf(token, api);
    await database.db.raw(
      "INSERT INTO sessions (token_id, user_id, created_at, last_used_at, expires_at) VALUES ('old', 1, '2020-01-01', '2020-01-01', '2020-01-02')",
    );
    await api.sessions.flush();
    expect(await count(database.db, "SELECT COUNT(*) FROM sessions WHERE token_id = 'old'")).toBe(0);
  });
});
