import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createDatabase } from '../../../src/db/connection';
import { execute, selectFirst } from '../../../src/db/sql';
import { isDatabaseGone, isDuplicate, type Tx, transaction } from '../../../src/db/transaction';
import { eventually } from '../../lab';
import { count, openTestDatabase, type TestDatabase } from '../../support/database';

let database: TestDatabase;
let db: Knex;
beforeAll(async () => {
  database = await openTestDatabase();
  db = createDatabase({ ...database.access, poolSize: 1 });
}, 60_000);
afterAll(async () => {
  await db.destroy();
  await database.close();
});
beforeEach(() => database.reset());

const INSERT = "INSERT INTO users (username, password_hash, max_leases, max_lease_hours) VALUES (?, 'a secret hash', 1, 1)";
const insert = (to: Knex | Tx, name: string): Promise<number> => execute(to, INSERT, [name]);
const users = (): Promise<number> => count(db, 'SELECT COUNT(*) FROM users');

async function failing(work: (tx: Tx) => Promise<unknown>): Promise<Error> {
  return transaction(db, work).then(
    () => new Error('it did not fail'),
    (error: unknown) => error as Error,
  );
}

describe('a transaction, in a pool of one connection', () => {
  it('keeps what its work did, or nothing of it', async () => {
    expect(await transaction(db, (tx) => insert(tx, 'ada'))).toBe(1);
    expect(await failing(async (tx) => {
      await insert(tx, 'bob');
      throw new Error('as it happens');
    })).toMatchObject({ message: 'as it happens' });
    expect(await users()).toBe(1);
  });

  it('runs at READ COMMITTED', async () => {
    const row = await transaction(db, (tx) => selectFirst<{ level: string }>(tx, 'SELECT @@tx_isolation AS level'));
    expect(row).toEqual({ level: 'READ-COMMITTED' });
  });

  it('whose handle is used after its end is refused: the connection may be somebody else\'s by then', async () => {
    let kept: Tx | undefined;
    await transaction(db, (tx) => Promise.resolve((kept = tx)));
    await expect(insert(kept as Tx, 'ada')).rejects.toThrow('the transaction is over');
    await failing((tx) => {
      kept = tx;
      return Promise.reject(new Error('as it happens'));
    });
    await expect(insert(kept as Tx, 'ada')).rejects.toThrow('the transaction is over');
    expect(await users()).toBe(0);
  });

  it('refuses to nest', async () => {
    expect(await failing((tx) => transaction(tx as never, () => Promise.resolve()))).toMatchObject({ message: expect.stringMatching('do not nest') });
  });

  it('that loses its connection says unavailable, has done nothing, and the next one finds a connection that works', async () => {
    const error = await failing(async (tx) => {
      await insert(tx, 'ada');
      await execute(tx, 'KILL CONNECTION_ID()').catch(() => undefined);
      await insert(tx, 'bob');
    });
    expect(error).toMatchObject({ code: 'unavailable' });
    expect(isDatabaseGone(error.cause)).toBe(true);
    expect(await transaction(db, (tx) => insert(tx, 'eve'))).toBe(1);
    expect(await users()).toBe(1);
  });

  it('R25: that stands still is ended by the server: a replica that is frozen, or whose machine is gone, keeps no row from the others', async () => {
    await insert(db, 'ada');
    const take = (tx: Tx): Promise<unknown> => selectFirst(tx, "SELECT id FROM users WHERE username = 'ada' FOR UPDATE SKIP LOCKED");
    const error = await failing(async (frozen) => {
      expect(await take(frozen)).toBeDefined();
      expect(await transaction(database.db, take)).toBeUndefined();
      await eventually(() => transaction(database.db, take), { what: 'another gets the row', timeoutMs: 30_000, everyMs: 200 });
      await insert(frozen, 'bob');
    });
    expect(error).toMatchObject({ code: 'unavailable' });
    expect(await users()).toBe(1);
  }, 60_000);

  it('whose work runs into a key says which, and tells no values but that one', async () => {
    await insert(db, 'ada');
    const error = await failing((tx) => insert(tx, 'ada'));
    expect(isDuplicate(error, 'users_username')).toBe(true);
    expect(error.message).not.toMatch('secret');
    expect(await users()).toBe(1);
  });
});
