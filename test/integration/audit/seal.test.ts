import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Knex } from 'knex';
import { createDatabase } from '../../../src/db/connection';
import { sealEvents, sealJob } from '../../../src/flows/audit/seal-events';
import { createLeaderElection } from '../../../src/flows/support/leader-election';
import { openHead } from '../../../src/lib/tree/note';
import { countEntries, findNewestHead, recordEvent } from '../../../src/modules/audit';
import { count, openTestDatabase, rows, type TestDatabase } from '../../support/database';
import { openRowCounter } from '../../support/rows-read';
import { aSealer, faultsOf, sealAll, type Sealing, someEvents } from '../../support/sealed-log';

jest.setTimeout(120_000);

let database: TestDatabase;
let db: Knex;
let sealer: Sealing;
beforeAll(async () => {
  database = await openTestDatabase();
  ({ db } = database);
}, 60_000);
afterAll(() => database.close());
beforeEach(async () => {
  await database.reset();
  await db.raw("UPDATE leaders SET token = NULL WHERE name = 'seal'");
  sealer = aSealer(db);
});

/** Makes the heads older, so that the next pass signs one. */
const letTimePass = (): Promise<unknown> => db.raw('UPDATE audit_heads SET created_at = created_at - INTERVAL 1 MINUTE');

interface Pool {
  acquireConnection(): Promise<{ query(...given: unknown[]): unknown; destroy(): void }>;
}

type Done = (error: Error | null, result?: unknown) => void;

/** A process that dies at its statement number `nth`: before the database gets it, or before the answer comes. */
function dyingAt(nth: number, when: 'before' | 'after'): Knex {
  const pool = createDatabase({ ...database.access, poolSize: 1 });
  const client = pool.client as Pool;
  const acquire = client.acquireConnection.bind(client);
  let sent = 0;
  const isDead = (): boolean => sent >= nth;
  client.acquireConnection = async () => {
    if (isDead()) {
      throw new Error('the process is dead');
    }
    const connection = await acquire();
    const query = connection.query.bind(connection);
    const die = (done: Done): void => {
      connection.destroy();
      done(new Error('the process died'));
    };
    connection.query = (sql: unknown, bindings: unknown, done: Done) => {
      sent += 1;
      if (!isDead()) {
        query(sql, bindings, done);
      } else if (sent === nth && when === 'after') {
        query(sql, bindings, () => die(done));
      } else {
        die(done);
      }
    };
    return connection;
  };
  return pool;
}

describe('the seal of the audit log', () => {
  it('R41: gives each event an entry, in order, and signs the head of all of them', async () => {
    await someEvents(db, 20);
    await sealEvents(sealer);
    expect(await faultsOf(sealer)).toEqual([]);
    expect(await rows(db, 'SELECT event_id FROM audit_entries ORDER BY seq')).toEqual(
      await rows(db, 'SELECT id AS event_id FROM events ORDER BY id'),
    );
    await someEvents(db, 3);
    await sealAll(sealer);
    expect(await faultsOf(sealer)).toEqual([]);
    expect(await countEntries(db)).toBe(23);
  });

  it('R41: takes more events than one pass holds', async () => {
    for (let n = 0; n < 5; n += 1) {
      await someEvents(db, 500);
    }
    expect(await sealEvents(sealer)).toBe('more');
    await sealAll(sealer);
    expect(await faultsOf(sealer)).toEqual([]);
  });

  it('R41: finds events whose transactions commit after events with higher ids were sealed', async () => {
    const late = await db.transaction();
    await late.raw("INSERT INTO events (type, actor, data) VALUES ('node.alive', 'late', '{}')");
    await someEvents(db, 5);
    await sealEvents(sealer);
    expect(await countEntries(db)).toBe(5);
    await late.commit();
    await sealAll(sealer);
    expect(await countEntries(db)).toBe(6);
    expect(await faultsOf(sealer)).toEqual([]);
  });

  it('R41: finds an event that commits minutes late, also after the scheduler started anew', async () => {
    for (let n = 0; n < 6; n += 1) {
      await someEvents(db, 500);
    }
    // A look back by 10 s, and by 1,000 numbers beyond it, does not reach the first of these.
    await db.raw('UPDATE events SET at = at - INTERVAL 200 SECOND ORDER BY id LIMIT 2000');
    const id = await count(db, 'SELECT MIN(id) FROM events');
    await db.raw('DELETE FROM events WHERE id = ?', [id]);
    await sealAll(sealer);
    // A transaction of so many seconds would be ended by MariaDB: the row is inserted as if it had been in one.
    const at = 'UTC_TIMESTAMP(3) - INTERVAL 200 SECOND';
    await db.raw(`INSERT INTO events (id, type, actor, data, at) VALUES (?, 'node.alive', 'late', '{}', ${at})`, [id]);
    await sealEvents(sealer);
    expect(await countEntries(db)).toBe(2_999);
    await sealAll({ ...sealer, state: aSealer(db).state });
    expect(await countEntries(db)).toBe(3_000);
    expect(await faultsOf(sealer)).toEqual([]);
  });

  it('R41: signs a head at most every two seconds', async () => {
    await someEvents(db, 1);
    await sealEvents(sealer);
    await someEvents(db, 1);
    await sealEvents(sealer);
    expect(await count(db, 'SELECT COUNT(*) FROM audit_heads')).toBe(1);
    await letTimePass();
    await sealEvents(sealer);
    await letTimePass();
    await sealEvents(sealer);
    expect(await rows(db, 'SELECT size FROM audit_heads ORDER BY size')).toEqual([{ size: 1 }, { size: 2 }]);
  });

  it('R41: survives the death of the process at each of its statements', async () => {
    let died = 0;
    for (let nth = 1; nth <= 16; nth += 1) {
      for (const when of ['before', 'after'] as const) {
        await someEvents(db, 3);
        await letTimePass();
        const pool = dyingAt(nth, when);
        died += await sealEvents({ ...sealer, db: pool, state: aSealer(db).state }).then(
          () => 0,
          () => 1,
        );
        await pool.destroy();
        await sealAll(sealer);
        expect(await faultsOf(sealer)).toEqual([]);
      }
    }
    expect(await countEntries(db)).toBe(96);
    expect(died).toBeGreaterThan(24);
  });

  it('R41: stands two processes that seal at once: no entry twice, and none missing', async () => {
    const [one, other] = [sealer, { ...sealer, db: database.secondPool(), state: aSealer(db).state }];
    for (let round = 0; round < 30; round += 1) {
      await Promise.all([
        sealEvents(one),
        sealEvents(other),
        someEvents(db, 7),
        recordEvent(db, { type: 'node.dead', actor: 'scheduler' }),
      ]);
      await letTimePass();
    }
    await sealAll(sealer);
    expect(await countEntries(db)).toBe(240);
    expect(await faultsOf(sealer)).toEqual([]);
  });

  it('R41: is led by one scheduler, and taken over when it leaves', async () => {
    const lead = (pool: Knex): ReturnType<typeof createLeaderElection> =>
      createLeaderElection({ ...sealer, db: pool }, { name: 'seal', limitSeconds: 15 });
    const one = { ...sealer, lead: lead(db) };
    const other = { ...sealer, state: aSealer(db).state, lead: lead(db) };
    await sealJob.sweep(one);
    await someEvents(db, 2);
    await sealJob.sweep(other);
    expect(await countEntries(db)).toBe(0);
    await sealJob.sweep(one);
    expect(await countEntries(db)).toBe(2);
    await someEvents(db, 2);
    await one.lead.handBack();
    await sealJob.sweep({ ...other, state: aSealer(db).state });
    expect(await countEntries(db)).toBe(4);
  });

  it.each([
    ['a changed leaf', 'UPDATE audit_entries SET leaf = UNHEX(REPEAT("ab", 32)) WHERE seq = 4'],
    ['a changed subtree', 'UPDATE audit_entries SET nodes = INSERT(nodes, 40, 2, "xx") WHERE seq = 3'],
    ['a missing tail', 'DELETE FROM audit_entries WHERE seq > 2'],
  ])('R41: signs no head after %s', async (_name, tampering) => {
    await someEvents(db, 5);
    await sealAll(sealer);
    await db.raw(tampering);
    await letTimePass();
    await someEvents(db, 1);
    await expect(sealEvents(sealer)).rejects.toThrow('was changed');
    expect(openHead((await findNewestHead(db))?.note ?? '', sealer.key.publicKey)).toMatchObject({ size: 5 });
  });

  it('R41: reads few rows, however many events are sealed', async () => {
    for (let n = 0; n < 12; n += 1) {
      await someEvents(db, 500);
    }
    const spread = 'UPDATE events JOIN (SELECT MAX(id) AS last FROM events) m SET at = UTC_TIMESTAMP(3) - INTERVAL (m.last - id) SECOND';
    await db.raw(spread);
    await sealAll(sealer);
    await letTimePass();
    const counter = openRowCounter(database.access);
    const pass = (pool: Knex): Promise<unknown> => sealEvents({ ...sealer, db: pool });
    await someEvents(db, 10);
    expect(await counter.rowsRead(pass)).toBeLessThan(4_000);
    expect(await counter.rowsRead(pass)).toBeLessThan(4_000);
    await counter.close();
    expect(await faultsOf(sealer)).toEqual([]);
  });
});
