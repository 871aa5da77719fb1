import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createDatabase } from '../../../src/db/connection';
import { execute, selectFirst, selectRows } from '../../../src/db/sql';
import { isDatabaseGone, isDuplicate, type Tx, transaction } from '../../../src/db/transaction';
import { createLab, type DatabaseProxy, eventually, startDatabaseProxy } from '../../lab';
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

async function failing(work: (tx: Tx) => Promise<unknown>, on = db): Promise<Error> {
  return transaction(on, work).then(
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

describe.each([
  { how: 'together', multiStatements: true, trips: { turn: 1, oneByOne: 3 } },
  { how: 'one by one, where the connection takes no more,', multiStatements: false, trips: { turn: 6, oneByOne: 4 } },
])('what a transaction asks for in one turn, $how', ({ multiStatements, trips }) => {
  const lab = createLab();
  let proxy: DatabaseProxy;
  let far: Knex;
  beforeAll(async () => {
    proxy = await startDatabaseProxy(lab, database.access);
    far = createDatabase({ ...database.access, host: proxy.host, port: proxy.port, poolSize: 1, multiStatements });
    lab.push('pool', () => far.destroy());
  });
  afterAll(() => lab.close());
  const names = (tx: Tx): Promise<{ username: string }[]> => selectRows(tx, 'SELECT username FROM users ORDER BY id');

  it('is done in its order, with BEGIN before and COMMIT after it', async () => {
    await selectFirst(far, 'SELECT 1');
    const before = proxy.queries;
    const answers = await transaction(far, (tx) => Promise.all([insert(tx, 'a;?'), names(tx), insert(tx, "b'"), names(tx), tx.commit()]));
    expect(answers).toEqual([1, [{ username: 'a;?' }], 1, [{ username: 'a;?' }, { username: "b'" }], undefined]);
    expect([proxy.queries - before, proxy.commits]).toEqual([trips.turn, 1]);
    await transaction(far, async (tx) => {
      await insert(tx, 'c');
      await names(tx);
    });
    expect([proxy.queries - before, proxy.commits]).toEqual([trips.turn + trips.oneByOne, 2]);
    await transaction(far, () => Promise.resolve());
    expect(proxy.queries - before).toBe(trips.turn + trips.oneByOne);
  });

  it('fails with the first that fails, and nothing of it is kept, COMMIT or not', async () => {
    await insert(db, 'ada');
    const told: string[] = [];
    const error = await failing(async (tx) => {
      const all = ['bob', 'ada', 'eve'].map((name) => insert(tx, name).catch((each: unknown) => told.push(isDuplicate(each) ? name : String(each))));
      await Promise.all([...all, tx.commit()]);
    }, far);
    expect(isDuplicate(error, 'users_username')).toBe(true);
    expect(told).toEqual(['bob', 'ada', 'eve']);
    expect(await users()).toBe(1);
  });

  it('is not sent when what is under way before it fails: the server may have ended the transaction, and would keep it', async () => {
    await insert(db, 'ada');
    const before = proxy.queries;
    const told: string[] = [];
    const error = await failing(async (tx) => {
      await names(tx);
      const first = insert(tx, 'ada');
      // It has left by then, and its answer is not here yet.
      await Promise.resolve().then(() => Promise.resolve());
      const later = insert(tx, 'bob').catch((each: unknown) => told.push(isDuplicate(each) ? 'refused' : String(each)));
      await Promise.all([first, later]);
    }, far);
    expect(isDuplicate(error, 'users_username')).toBe(true);
    expect(told).toEqual(['refused']);
    // BEGIN and the names, the one that failed, ROLLBACK.
    expect(proxy.queries - before).toBe((multiStatements ? 1 : 2) + 2);
    expect(await users()).toBe(1);
  });

  it('can be something else once the failure is known', async () => {
    await insert(db, 'ada');
    expect(await transaction(far, async (tx) => {
      await insert(tx, 'ada').catch(() => undefined);
      return insert(tx, 'bob');
    })).toBe(1);
    expect(await users()).toBe(2);
  });

  it('is refused after COMMIT', async () => {
    expect(await failing(async (tx) => {
      await Promise.all([insert(tx, 'ada'), tx.commit()]);
      await insert(tx, 'bob');
    }, far)).toMatchObject({ message: 'the transaction is over' });
    expect(await users()).toBe(1);
  });

  it('is over with its transaction: what was not sent by then is not sent', async () => {
    const told: Promise<unknown>[] = [];
    const error = await failing((tx) => {
      told.push(...['ada', 'bob'].map((name) => insert(tx, name).catch(() => 'refused')));
      return Promise.reject(new Error('as it happens'));
    }, far);
    expect(error).toMatchObject({ message: 'as it happens' });
    await Promise.all(told);
    expect(await transaction(far, (tx) => insert(tx, 'eve'))).toBe(1);
    expect(await users()).toBe(1);
  });

  it('is one statement at a time: a text that holds two is refused, within a transaction and without', async () => {
    const two = "SELECT 1; DELETE FROM users WHERE username <> ''";
    await expect(selectRows(far, two)).rejects.toThrow('one statement at a time');
    expect(await failing((tx) => selectRows(tx, two), far)).toMatchObject({ message: 'one statement at a time' });
  });
});
