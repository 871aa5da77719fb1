import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createDatabase } from '../../../src/db/connection';
import { execute, selectFirst, selectRows } from '../../../src/db/sql';
import { type Batch, isDatabaseGone, isDuplicate, type Transaction, transaction, type Tx } from '../../../src/db/transaction';
import { eventually, startDatabaseProxy } from '../../lab';
import { count } from '../../support/database';
import { useForAll, useLab, useTestDatabase } from '../../support/hooks';

const database = useTestDatabase({ resetEach: true });
let db: Knex;
beforeAll(() => {
  db = createDatabase({ ...database.access, poolSize: 1 });
});
afterAll(() => db.destroy());

const INSERT = "INSERT INTO users (username, password_hash, max_leases, max_lease_hours) VALUES (?, 'a secret hash', 1, 1)";
const insert = (to: Knex | Tx, name: string): Promise<number> => execute(to, INSERT, [name]);
const users = (): Promise<number> => count(db, 'SELECT COUNT(*) FROM users');

async function failing(work: (tx: Transaction) => Promise<unknown>, on = db): Promise<Error> {
  return transaction(on, work).then(
    () => new Error('it did not fail'),
    (error: unknown) => error as Error,
  );
}

describe('a transaction, in a pool of one connection', () => {
  it('keeps what its work did, or nothing of it', async () => {
    expect(await transaction(db, (tx) => insert(tx, 'ada'))).toBe(1);
    expect(
      await failing(async (tx) => {
        await insert(tx, 'bob');
        throw new Error('as it happens');
      }),
    ).toMatchObject({ message: 'as it happens' });
    expect(await users()).toBe(1);
  });

  it('runs at READ COMMITTED', async () => {
    const row = await transaction(db, (tx) => selectFirst<{ level: string }>(tx, 'SELECT @@tx_isolation AS level'));
    expect(row).toEqual({ level: 'READ-COMMITTED' });
  });

  it("whose handle is used after its end is refused: the connection may be somebody else's by then", async () => {
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
    expect(await failing((tx) => transaction(tx as never, () => Promise.resolve()))).toMatchObject({
      message: expect.stringMatching('do not nest'),
    });
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
  { how: 'in one round trip', multiStatements: true, trips: { batch: 1, plain: 3, failed: 1 } },
  { how: 'one by one, where the connection takes no more', multiStatements: false, trips: { batch: 6, plain: 4, failed: 3 } },
])('a batch, sent $how', ({ multiStatements, trips }) => {
  const lab = useLab();
  const proxy = useForAll(() => startDatabaseProxy(lab, database.access));
  let far: Knex;
  beforeAll(() => {
    far = createDatabase({ ...database.access, host: proxy.host, port: proxy.port, poolSize: 1, multiStatements });
    lab.push('pool', () => far.destroy());
  });
  beforeEach(() => selectFirst(far, 'SELECT 1'));
  const names = (tx: Tx): Promise<{ username: string }[]> => selectRows(tx, 'SELECT username FROM users ORDER BY id');
  const insertAll =
    (...all: string[]) =>
    (batch: Batch): Promise<unknown> =>
      Promise.all(all.map((name) => insert(batch, name)));

  it('is done in its order, with BEGIN before and COMMIT after it', async () => {
    const before = [proxy.queries, proxy.commits] as const;
    const answers = await transaction(far, (tx) =>
      tx.batch((batch) => Promise.all([insert(batch, 'a;?'), names(batch), insert(batch, "b'"), names(batch)]), { commit: true }),
    );
    expect(answers).toEqual([1, [{ username: 'a;?' }], 1, [{ username: 'a;?' }, { username: "b'" }]]);
    expect([proxy.queries - before[0], proxy.commits - before[1]]).toEqual([trips.batch, 1]);
  });

  it('is one round trip where each plain statement is one, as COMMIT is; nothing to do is none', async () => {
    const before = proxy.queries;
    await transaction(far, async (tx) => {
      await insert(tx, 'ada');
      await names(tx);
    });
    expect(proxy.queries - before).toBe(trips.plain);
    expect(await transaction(far, (tx) => tx.batch(() => Promise.resolve('nothing')))).toBe('nothing');
    expect(proxy.queries - before).toBe(trips.plain);
  });

  it('fails with the first statement that fails, and nothing of it is kept, COMMIT or not', async () => {
    await insert(db, 'ada');
    for (const commit of [false, true]) {
      const before = proxy.queries;
      const told: string[] = [];
      const error = await failing(
        (tx) =>
          tx.batch(
            (batch) =>
              Promise.all(
                ['bob', 'ada', 'eve'].map((name) =>
                  insert(batch, name).catch((each: unknown) => told.push(isDuplicate(each) ? name : String(each))),
                ),
              ),
            { commit },
          ),
        far,
      );
      expect(isDuplicate(error, 'users_username')).toBe(true);
      expect(told).toEqual(['bob', 'ada', 'eve']);
      // BEGIN and the two statements before the failure; ROLLBACK.
      expect(proxy.queries - before).toBe(trips.failed + 1);
      expect(await users()).toBe(1);
    }
  });

  it('with COMMIT is not sent when its work fails before it has sent all', async () => {
    const one = async (batch: Batch): Promise<number> => insert(batch, 'ada');
    const other = async (batch: Batch): Promise<number> => {
      await Promise.resolve();
      throw new Error(`no row for ${batch.isClustered ? 'a cluster' : 'a server'}`);
    };
    const broken = failing((tx) => tx.batch((batch) => Promise.all([one(batch), other(batch)]), { commit: true }));
    expect(await broken).toMatchObject({ message: 'no row for a server' });
    expect(await users()).toBe(0);
  });

  it('that failed ends the transaction: the server may have rolled back, and would keep what is sent later', async () => {
    await insert(db, 'ada');
    const told: unknown[] = [];
    const error = await failing(async (tx) => {
      await tx.batch(insertAll('bob', 'ada')).catch((each: unknown) => told.push(each));
      await insert(tx, 'eve').catch((each: unknown) => told.push(each));
      await tx.batch(insertAll('eve')).catch((each: unknown) => told.push(each));
    }, far);
    expect(told.map((each) => isDuplicate(each))).toEqual([true, true, true]);
    expect(isDuplicate(error, 'users_username')).toBe(true);
    expect(await users()).toBe(1);
  });

  it('takes no statement after it was sent', async () => {
    let kept: Batch | undefined;
    const error = await failing(
      (tx) =>
        tx.batch(async (batch) => {
          kept = batch;
          await insert(batch, 'ada');
          await insert(batch, 'bob');
        }),
      far,
    );
    expect(error.message).toMatch('the batch was sent');
    await expect(insert(kept as Batch, 'eve')).rejects.toThrow('the batch was sent');
    expect(await users()).toBe(0);
  });

  it('is needed for two statements at once: the second one is refused while the first one is under way', async () => {
    const error = await failing((tx) => Promise.all([insert(tx, 'ada'), insert(tx, 'bob')]), far);
    expect(error.message).toMatch('send both in a batch');
    expect(await users()).toBe(0);
    expect(await transaction(far, (tx) => insert(tx, 'eve'))).toBe(1);
  });

  it('is not needed to go on after a plain statement that failed', async () => {
    await insert(db, 'ada');
    expect(
      await transaction(far, async (tx) => {
        await insert(tx, 'ada').catch(() => undefined);
        return insert(tx, 'bob');
      }),
    ).toBe(1);
    expect(await users()).toBe(2);
  });

  it('with COMMIT is the last: what is sent later is refused', async () => {
    expect(
      await failing(async (tx) => {
        await tx.batch(insertAll('ada'), { commit: true });
        await insert(tx, 'bob');
      }, far),
    ).toMatchObject({ message: 'the transaction is over' });
    expect(await users()).toBe(1);
  });

  it('is one statement at a time: a text that holds two is refused, in a batch, in a transaction and without', async () => {
    const two = "SELECT 1; DELETE FROM users WHERE username <> ''";
    await expect(selectRows(far, two)).rejects.toThrow('one statement at a time');
    expect(await failing((tx) => selectRows(tx, two), far)).toMatchObject({ message: 'one statement at a time' });
    expect(await failing((tx) => tx.batch((batch) => selectRows(batch, two)), far)).toMatchObject({ message: 'one statement at a time' });
  });
});
