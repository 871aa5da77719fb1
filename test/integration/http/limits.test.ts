import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { findUserForLogin, usernameKey } from '../../../src/modules/accounts';
import { startTestApi, type TestApi } from '../../support/api';
import { aUser } from '../../support/builders';
import { age, count, rows } from '../../support/database';
import { useTestApi, useTestDatabase } from '../../support/hooks';
import type { Reply } from '../../support/wire';

jest.setTimeout(60_000);

/** How long a login waits for its turn, and how often there is one. */
const TURN_SECONDS = 3;

const database = useTestDatabase({ resetEach: true });
const options = { limits: { loginsPerAddress: 8, loginsPerName: 4, signupsPerAddress: 3 }, settings: { trustProxy: 'loopback' } };
const replicas = [useTestApi(database, options), useTestApi(database, { ...options, ownPool: true })];

const onAll = (n: number, path: string, sent: (attempt: number) => { body: object; from?: string }): Promise<Reply<unknown>[]> =>
  Promise.all(
    Array.from({ length: n }, (_, attempt) => {
      const { body, from } = sent(attempt);
      const replica = replicas[attempt % 2] as TestApi;
      return replica.call('post', path, { body, headers: from === undefined ? {} : { 'X-Forwarded-For': from } });
    }),
  );
const letThrough = (answers: Reply<unknown>[]): number => answers.filter(({ status }) => status !== 429).length;

describe('limits that all replicas share', () => {
  it('R16: over two replicas exactly as many logins of one name are tried as are allowed', async () => {
    const answers = await onAll(20, '/api/login', (n) => ({
      body: { username: n % 3 ? 'eve' : 'EVE', password: 'guess' },
      from: `10.0.0.${n}`,
    }));
    expect(letThrough(answers)).toBe(4);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.body).toMatchObject({ code: 'too_many_requests' });
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(290);
  });

  it('R16: and exactly as many of one address', async () => {
    expect(letThrough(await onAll(24, '/api/login', (n) => ({ body: { username: `u${n}`, password: 'guess' } })))).toBe(8);
  });

  it('R16: and exactly as many new accounts of one address; another address has its own', async () => {
    const body = (n: number, who: string): object => ({ username: `${who}${n}`, password: 'long enough one' });
    expect(letThrough(await onAll(6, '/api/signup', (n) => ({ body: body(n, 'a'), from: '10.0.0.1' })))).toBe(3);
    expect(letThrough(await onAll(1, '/api/signup', (n) => ({ body: body(n, 'b'), from: '10.0.0.2' })))).toBe(1);
  });

  it('R10: an address that the caller made up in front of the proxy counts for nothing', async () => {
    const answers = await onAll(12, '/api/login', (n) => ({
      body: { username: `v${n}`, password: 'guess' },
      from: `10.9.9.${n}, 10.0.0.7`,
    }));
    expect(letThrough(answers)).toBe(8);
  });

  it('R10: whoever has an IPv6 network is one caller, whichever of its addresses the guesses come from', async () => {
    const guess = (n: number): { body: object; from: string } => ({
      body: { username: `w${n}`, password: 'guess' },
      from: `2001:db8:7:42::${n.toString(16)}`,
    });
    expect(letThrough(await onAll(24, '/api/login', guess))).toBe(8);
  });

  it('R10: the 256 networks of one customer have four times as much together, and the next customer has its own', async () => {
    const guess = (n: number, customer: string): { body: object; from: string } => ({
      body: { username: `x${n}`, password: 'guess' },
      from: `2001:db8:8:${customer}${(n + 16).toString(16)}::1`,
    });
    expect(letThrough(await onAll(48, '/api/login', (n) => guess(n, '1')))).toBe(32);
    expect(letThrough(await onAll(4, '/api/login', (n) => guess(n, '2')))).toBe(4);
  });

  it('R10: blanks behind a name give no further guesses', async () => {
    const answers = await onAll(24, '/api/login', (n) => ({
      body: { username: `ada${' '.repeat(n % 6)}`, password: 'guess' },
      from: `10.0.1.${n}`,
    }));
    expect(letThrough(answers)).toBe(4);
  });

  it('R10: once the time is over it may be tried again', async () => {
    const attempt = (n: number): Promise<Reply<unknown>[]> =>
      onAll(n, '/api/login', () => ({ body: { username: 'ada', password: 'guess' } }));
    expect(letThrough(await attempt(6))).toBe(4);
    await age(database.db, 'UPDATE rate_limits SET expire = 1');
    expect(letThrough(await attempt(1))).toBe(1);
  });
});

describe('an account that strangers guess at', () => {
  const PASSWORD = 'right and long enough';
  const attack = (n = 12): Promise<Reply<unknown>[]> =>
    onAll(n, '/api/login', (i) => ({ body: { username: 'ada', password: 'guess' }, from: `10.66.0.${i}` }));
  const logIn = (from: string, on = replicas[0] as TestApi): Promise<Reply<unknown>> =>
    on.call('post', '/api/login', { body: { username: 'ada', password: PASSWORD }, headers: { 'X-Forwarded-For': from } });
  const aReplicaWhereWait = async (waiting: number): Promise<TestApi> => {
    const replica = await startTestApi(database.secondPool(), {
      limits: { loginsPerName: 4, lateLogins: { waiting, everySeconds: TURN_SECONDS } },
      settings: { trustProxy: 'loopback' },
    });
    replicas.push(replica);
    return replica;
  };

  beforeEach(() => (replicas[0] as TestApi).call('post', '/api/signup', { body: { username: 'ada', password: PASSWORD } }));

  it('R10: stays open to its owner from the networks where the owner has logged in, while it is under attack', async () => {
    expect((await logIn('2001:db8:5:5::1')).status).toBe(200);
    expect(letThrough(await attack())).toBe(3);
    expect((await logIn('2001:db8:6:6::1')).status).toBe(429);
    expect((await logIn('2001:db8:5:5:abcd::2', replicas[1])).status).toBe(200);
    await attack();
    expect((await logIn('2001:db8:5:5::3')).status).toBe(200);
  });

  it('R10: such a network has a limit too, and a wrong password makes none', async () => {
    expect((await logIn('10.0.0.1')).status).toBe(200);
    const guesses = await onAll(12, '/api/login', () => ({ body: { username: 'ada', password: 'guess' }, from: '10.0.0.1' }));
    expect(letThrough(guesses)).toBeLessThanOrEqual(4);
    await attack();
    expect(letThrough(await attack())).toBe(0);
    expect(await count(database.db, "SELECT COUNT(*) FROM rate_limits WHERE `key` LIKE 'login_known:%'")).toBe(1);
  });

  it('R10: and to its owner at a new place after a wait, where one request waits and the rest is refused at once', async () => {
    const patient = await aReplicaWhereWait(2);
    await attack();
    const answers = await Promise.all(['10.7.0.1', '10.7.0.1', '10.7.0.1'].map((from) => logIn(from, patient)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 429, 429]);
  });

  it('R10: those who wait are few, and one of them has a turn at a time', async () => {
    const patient = await aReplicaWhereWait(3);
    await attack();
    const startedAt = performance.now();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => logIn(`10.8.0.${n}`, patient)));
    const turns = Math.ceil((performance.now() - startedAt) / 1000 / TURN_SECONDS);
    expect(letThrough(answers)).toBeGreaterThanOrEqual(1);
    expect(letThrough(answers)).toBeLessThanOrEqual(turns);
  });
});

describe('names', () => {
  it('R10: what the database takes for one account is counted as one, and only the name itself finds the account', async () => {
    const stored = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{1,8}$/);
    const change = fc.constantFrom(
      (name: string) => name,
      (name: string) => `${name} `,
      (name: string) => `${name}   `,
      (name: string) => ` ${name}`,
      (name: string) => name.toUpperCase(),
      (name: string) => `${name}\t`,
      (name: string) => `${name}\0`,
    );
    const padding = fc.string({ maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(stored, { minLength: 1, maxLength: 3 }), change, padding, async (names, changed, tail) => {
        await database.db.raw('DELETE FROM users');
        await Promise.all(names.map((username) => aUser(database.db, { username })));
        for (const text of names.flatMap((name) => [changed(name), `${changed(name)}${tail}`])) {
          const found = await rows<{ username: string }>(
            database.db,
            'SELECT username FROM users WHERE CONVERT(username USING utf8mb4) COLLATE utf8mb4_bin = ? OR username = CONVERT(? USING ascii)',
            [text, text],
          );
          found.forEach(({ username }) => expect(usernameKey(text)).toBe(usernameKey(username)));
          const user = await findUserForLogin(database.db, text);
          expect(user?.user.username).toBe(names.includes(text) ? text : undefined);
        }
      }),
      { numRuns: 150 },
    );
  });
});
