import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startTestApi, type TestApi } from '../../support/api';
import { age, openTestDatabase, type TestDatabase } from '../../support/database';
import type { Reply } from '../../support/wire';

let database: TestDatabase;
let replicas: TestApi[];
beforeAll(async () => {
  database = await openTestDatabase();
  const limits = { loginsPerAddress: 8, loginsPerName: 4, signupsPerAddress: 3 };
  replicas = await Promise.all([database.db, database.secondPool()].map((db) => startTestApi(db, { limits, settings: { trustProxy: 'loopback' } })));
}, 60_000);
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.close()));
  await database.close();
});
beforeEach(() => database.reset());

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
    const answers = await onAll(20, '/api/login', (n) => ({ body: { username: n % 3 ? 'eve' : 'EVE', password: 'guess' }, from: `10.0.0.${n}` }));
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
    const answers = await onAll(12, '/api/login', (n) => ({ body: { username: `v${n}`, password: 'guess' }, from: `10.9.9.${n}, 10.0.0.7` }));
    expect(letThrough(answers)).toBe(8);
  });

  it('R10: once the time is over it may be tried again', async () => {
    const attempt = (n: number): Promise<Reply<unknown>[]> => onAll(n, '/api/login', () => ({ body: { username: 'ada', password: 'guess' } }));
    expect(letThrough(await attempt(6))).toBe(4);
    await age(database.db, 'UPDATE rate_limits SET expire = 1');
    expect(letThrough(await attempt(1))).toBe(1);
  });
});
