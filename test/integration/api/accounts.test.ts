import { describe, expect, it } from '@jest/globals';
import { row } from '../../support/database';
import { aUser } from '../../support/builders';
import { startTestApi } from '../../support/api';
import { useTestApi, useTestDatabase } from '../../support/hooks';
import { anSshKey, sshKeyLine, rsaModulus } from '../../support/keys';
import type { Page, User } from '../../../src/contract';

interface KeyJson {
  id: number;
  name: string;
  public_key: string;
  fingerprint: string;
}

const database = useTestDatabase();
const api = useTestApi(database);

describe('signing up, in and out', () => {
  const credentials = { username: 'ada', password: 'correct horse battery' };

  it('R10: an account is made, its password logs in, and its token is good until the logout', async () => {
    const made = await api.call<{ user: User }>('post', '/api/signup', { body: credentials });
    expect(made.status).toBe(201);
    expect(made.body.user).toMatchObject({ username: 'ada', role: 'user', max_leases: 5, max_lease_hours: 24, disabled: false });
    expect(made.text).not.toContain('correct horse');

    const session = await api.call<{ token: string; token_type: string; expires_in_seconds: number }>('post', '/api/login', {
      body: credentials,
    });
    expect(session).toMatchObject({ status: 200, body: { token_type: 'Bearer', expires_in_seconds: 3600 } });
    expect(session.headers['cache-control']).toBe('no-store');
    const as = session.body.token;
    expect((await api.call<{ user: User }>('get', '/api/me', { as })).body.user.username).toBe('ada');

    expect((await api.call('post', '/api/logout', { as })).status).toBe(204);
    expect(await api.call('get', '/api/me', { as })).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(await api.call('post', '/api/logout', { as })).toMatchObject({ status: 401 });
  });

  it('R44: only an argon2id hash of the password is stored', async () => {
    const { password_hash } = await row<{ password_hash: string }>(database.db, "SELECT password_hash FROM users WHERE username = 'ada'");
    expect(password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  it('R10: a name is taken once, also by two who ask at the same time', async () => {
    const body = { username: 'twin', password: 'correct horse battery' };
    const answers = await Promise.all([1, 2, 3].map(() => api.call('post', '/api/signup', { body })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('username_taken');
  });

  it('R10: a wrong password, an unknown name and a disabled account get one and the same answer', async () => {
    await database.db.raw("UPDATE users SET disabled_at = UTC_TIMESTAMP(3) WHERE username = 'twin'");
    const attempts = [
      { ...credentials, password: 'wrong password' },
      { ...credentials, username: 'nobody' },
      { username: 'twin', password: 'correct horse battery' },
    ];
    const answers = await Promise.all(attempts.map((body) => api.call('post', '/api/login', { body })));
    expect(new Set(answers.map(({ status, body: { code, detail } }) => JSON.stringify([status, code, detail]))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401, body: { code: 'bad_credentials' } });
  });

  it.each([
    { username: 'A', password: 'long enough one' },
    { username: 'a b', password: 'long enough one' },
    { username: 'x'.repeat(33), password: 'long enough one' },
    { username: 'eve', password: 'short' },
    { username: 'eve', password: 'x'.repeat(257) },
    { username: 'eve', password: 'long enough one', role: 'admin' },
    { username: ['eve'], password: 'long enough one' },
    { username: 'éve', password: 'long enough one' },
    { username: "' OR 1=1 --", password: 'long enough one' },
  ])('R10: refuses to make an account of %j', async (body) => {
    expect(await api.call('post', '/api/signup', { body })).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });

  it.each(['é', '\u0000', '😀', "' OR '1'='1", '%', 'ADA'])('R10: the name %j logs nobody in', async (username) => {
    expect((await api.call('post', '/api/login', { body: { username, password: credentials.password } })).status).toBe(401);
  });

  it('a name that is no text, half of a surrogate pair, is refused before anything is looked up', async () => {
    expect((await api.call('post', '/api/login', { body: { username: '\ud800', password: credentials.password } })).status).toBe(400);
  });

  it('R10: a closed platform makes no accounts', async () => {
    const closed = await startTestApi(database.db, { settings: { signup: 'closed' } });
    expect(await closed.call('post', '/api/signup', { body: { username: 'late', password: 'long enough one' } })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    await closed.close();
  });
});

describe('keys of an account', () => {
  it('are added, listed without what a stranger wrote beside them, and removed', async () => {
    const user = await aUser(database.db);
    const line = anSshKey();
    const added = await api.call<KeyJson>('post', '/api/keys', { as: user, body: { public_key: ` ${line} ada@laptop\n` } });
    expect(added).toMatchObject({ status: 201, body: { name: 'ada@laptop', public_key: line } });
    expect(added.body.fingerprint).toMatch(/^SHA256:[\w+/]{43}$/);
    expect(await api.call('post', '/api/keys', { as: user, body: { public_key: line } })).toMatchObject({
      status: 409,
      body: { code: 'key_taken' },
    });
    expect((await api.call<Page<KeyJson>>('get', '/api/keys', { as: user })).body.items).toHaveLength(1);

    const stranger = await aUser(database.db);
    const path = `/api/keys/${added.body.id}`;
    expect((await api.call('delete', path, { as: stranger })).status).toBe(404);
    expect((await api.call('delete', path, { as: user })).status).toBe(204);
    expect((await api.call('delete', path, { as: user })).status).toBe(404);
  });

  it.each([
    `command="id" ${anSshKey()}`,
    `${anSshKey()}\n${anSshKey()}`,
    sshKeyLine('ssh-rsa', Buffer.from([1, 0, 1]), rsaModulus(1024)),
    'ssh-ed25519 AAAA',
    'nonsense',
    '',
  ])('R17: refuses %j as a key', async (publicKey) => {
    const user = await aUser(database.db);
    expect(await api.call('post', '/api/keys', { as: user, body: { public_key: publicKey } })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    });
  });

  it('are at most twenty', async () => {
    const user = await aUser(database.db);
    for (let n = 0; n < 20; n += 1) {
      expect((await api.call('post', '/api/keys', { as: user, body: { public_key: anSshKey() } })).status).toBe(201);
    }
    expect(await api.call('post', '/api/keys', { as: user, body: { public_key: anSshKey() } })).toMatchObject({
      status: 422,
      body: { code: 'quota_exceeded' },
    });
  });
});

describe('accounts as an admin sees them', () => {
  it('R10: are listed in pages and changed, and a disabled one is out at once', async () => {
    const admin = await aUser(database.db, { role: 'admin' });
    const user = await aUser(database.db);
    const first = await api.call<Page<User>>('get', '/api/users?limit=2', { as: admin });
    expect(first.body.items).toHaveLength(2);
    const second = await api.call<Page<User>>('get', `/api/users?limit=500&cursor=${first.body.next_cursor ?? ''}`, { as: admin });
    expect(second.body.items.map(({ id }) => id)).toContain(user.id);
    expect(second.body.next_cursor).toBeNull();

    const path = `/api/users/${user.id}`;
    expect((await api.call('patch', path, { as: admin, body: { max_leases: 9 } })).body).toMatchObject({
      max_leases: 9,
      max_lease_hours: 24,
      role: 'user',
    });
    expect((await api.call('get', '/api/me', { as: user })).status).toBe(200);
    expect((await api.call('patch', path, { as: admin, body: { disabled: true } })).body).toMatchObject({ disabled: true, max_leases: 9 });
    expect((await api.call('get', '/api/me', { as: user })).status).toBe(401);
    await api.call('patch', path, { as: admin, body: { disabled: false } });
    expect((await api.call('get', '/api/me', { as: user })).status).toBe(200);
  });

  it('R10: a role given or taken counts at the next request, whatever the token', async () => {
    const admin = await aUser(database.db, { role: 'admin' });
    const user = await aUser(database.db);
    const as = api.tokenOf(user);
    expect((await api.call('get', '/api/users', { as })).status).toBe(403);
    await api.call('patch', `/api/users/${user.id}`, { as: admin, body: { role: 'admin' } });
    expect((await api.call('get', '/api/users', { as })).status).toBe(200);
  });

  it('an admin cannot lock itself out', async () => {
    const admin = await aUser(database.db, { role: 'admin' });
    for (const body of [{ disabled: true }, { role: 'user' }]) {
      expect(await api.call('patch', `/api/users/${admin.id}`, { as: admin, body })).toMatchObject({
        status: 409,
        body: { code: 'state_conflict' },
      });
    }
    expect((await api.call('patch', '/api/users/999999', { as: admin, body: {} })).status).toBe(404);
  });
});
