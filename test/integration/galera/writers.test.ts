import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { execute, selectRows } from '../../../src/db/sql';
import { transaction } from '../../../src/db/transaction';
import type { Reserve } from '../../../src/flows/rent/reserve';
import type { User } from '../../../src/modules/accounts';
import { createLab, eventually } from '../../lab';
import { startTestApi } from '../../support/api';
import { aUser, severalNodes } from '../../support/builders';
import { count, row } from '../../support/database';
import { anything, aRequest, askAtOnce, countOf, replicaOn, type Told } from '../rents/support';
import { listMigrations } from '../migrations/support';
import { type ClusterSite, meanwhile, openCluster } from './support';

const lab = createLab();
let site: ClusterSite;
let db: Knex;
beforeAll(async () => {
  site = await openCluster(lab);
  [db] = site.writers;
}, 120_000);
afterAll(() => lab.close());

/** All that was written anywhere has arrived at this node. */
const catchUp = (): Promise<unknown> => db.raw('SET STATEMENT wsrep_sync_wait = 1 FOR SELECT id FROM users LIMIT 1');
const somebody = (): Promise<User> => aUser(db, { maxLeases: 1000 });

/** Holds every COMMIT of the first two servers, which need the third one's word for it, until each has one; then lets them go. */
async function atOneMoment<T>(work: () => Promise<T>): Promise<T> {
  const [, , third] = site.cluster.nodes;
  third?.pause();
  const result = work();
  try {
    await Promise.all(
      site.writers
        .slice(0, 2)
        .map((on) =>
          eventually(
            () => count(on, "SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'COMMIT' AND id <> CONNECTION_ID()"),
            { what: 'a COMMIT is held', timeoutMs: 4_000 },
          ),
        ),
    );
  } finally {
    third?.resume();
  }
  return result;
}

describe('a cluster of three servers that are all written to', () => {
  it('R33: is migrated once, whichever servers the migrators talk to', async () => {
    const all = await listMigrations();
    expect(site.migrated.toSorted((a, b) => b.length - a.length)).toEqual([all, [], []]);
  });

  it.each([
    ['together', true],
    ['one by one', false],
  ])(
    'I3: whole transactions are kept or none of them, also when the cluster aborts one between two of its statements, sent %s',
    async (_how, multiStatements) => {
      const writers = site.open({ multiStatements });
      await db.raw('CREATE OR REPLACE TABLE books (id INT PRIMARY KEY, n INT NOT NULL) ENGINE=InnoDB');
      await db.raw('INSERT INTO books VALUES (1, 0), (2, 0)');
      await catchUp();
      const add = (id: number): string => `UPDATE books SET n = n + 1 WHERE id = ${id}`;
      // A sleep that is broken off answers OK: the statement after it is the first that could report the abort.
      const book = (on: Knex): Promise<unknown> =>
        transaction(on, (tx) =>
          tx.batch(
            (batch) => Promise.all([add(1), ...Array<string>(10).fill('DO SLEEP(0.001)'), add(2)].map((sql) => execute(batch, sql))),
            { commit: true },
          ),
        );
      const bookOften = async (on: Knex): Promise<number> => {
        let done = 0;
        for (let nth = 0; nth < 100; nth += 1) {
          await book(on).then(
            () => (done += 1),
            () => undefined,
          );
        }
        return done;
      };
      const booked = (await Promise.all(writers.map(bookOften))).reduce((sum, done) => sum + done, 0);
      await catchUp();
      expect(booked).toBeGreaterThan(100);
      expect(await selectRows(db, 'SELECT n FROM books ORDER BY id')).toEqual([{ n: booked }, { n: booked }]);
    },
    60_000,
  );

  it('R15: a user gets what the quota has room for, also when two servers commit rents of that user at the same moment', async () => {
    // Each server has rents for nodes that the other does not want: what they share is the quota alone.
    const rooms = ['one', 'two'];
    await Promise.all(rooms.map((room) => severalNodes(db, 10, { labels: { room } })));
    for (let round = 0; round < 5; round += 1) {
      const user = await aUser(db, { maxLeases: 1 });
      await catchUp();
      const asks = rooms.map((room, at): [Reserve, ReturnType<typeof aRequest>] => [
        replicaOn(site.writers[at] as Knex),
        aRequest(user, { requirements: { ...anything, labels: { room } }, idempotencyKey: room }),
      ]);
      expect(countOf(await atOneMoment(() => askAtOnce(asks)))).toEqual({ leased: 1, quota_exceeded: 1 });
    }
  }, 60_000);

  it('R56, I1/I3: no acknowledged lease is lost and no node is leased twice, while the cluster aborts what others are at', async () => {
    await severalNodes(db, 400);
    const users = await Promise.all(Array.from({ length: 12 }, somebody));
    await catchUp();
    const replicas = site.writers.map((on) => replicaOn(on));
    const disturb = (on: Knex): Promise<unknown> =>
      execute(on, 'UPDATE users SET max_lease_hours = max_lease_hours + 1 WHERE id = ?', [users[Math.floor(Math.random() * 12)]?.id ?? 0]);
    const rents = (async () => {
      const told: Told[] = [];
      for (let wave = 0; wave < 12; wave += 1) {
        told.push(
          ...(await askAtOnce(
            Array.from({ length: 30 }, (_, i): [Reserve, ReturnType<typeof aRequest>] => [
              replicas[i % 3] as Reserve,
              aRequest(users[i % 12] as User),
            ]),
          )),
        );
      }
      return told;
    })();
    const told = await site.writers.reduce((so, on) => meanwhile(() => disturb(on), so), rents);
    await catchUp();
    const leased = told.filter(({ is }) => is === 'leased');
    expect(leased.length).toBeGreaterThan(100);
    const kept = await selectRows<{ rentId: number; node: number }>(
      db,
      `SELECT l.rent_id AS rentId, l.occupied_node_id AS node FROM leases l JOIN rents r ON r.id = l.rent_id JOIN placements p ON p.current_lease_id = l.id
         JOIN nodes n ON n.lease_id = l.id AND n.id = l.occupied_node_id JOIN events e ON e.lease_id = l.id`,
    );
    const nodeOf = new Map(kept.map(({ rentId, node }) => [rentId, node]));
    expect(leased.filter(({ rentId = 0, nodes: [node] }) => nodeOf.get(rentId) !== node)).toEqual([]);
    expect(await count(db, 'SELECT COUNT(*) FROM leases')).toBe(kept.length);
  }, 90_000);
});

describe('a server that is cut off from its cluster', () => {
  it('is not ready and refuses for the moment, and is ready again when it is back; the others serve', async () => {
    const [first, , last] = site.writers;
    const [whole, alone] = await Promise.all([startTestApi(first), startTestApi(last)]);
    const user = await somebody();
    await catchUp();
    const cut = site.cluster.nodes[2];
    try {
      [whole, alone].forEach(({ readiness }) => readiness.set(null));
      await eventually(async () => (await alone.call('get', '/readyz')).status === 200, {
        what: 'the replica on the last server is ready',
      });
      await cut?.cutOff();
      expect(await row(last, 'SELECT 1 AS one')).toEqual({ one: 1 });
      expect(await alone.call('get', '/readyz')).toMatchObject({ status: 503, body: { reason: 'the database does not answer' } });
      for (const [method, path, body] of [
        ['get', '/api/leases', undefined],
        ['post', '/api/rent', { duration_hours: 1 }],
        ['post', '/api/login', { username: user.username, password: 'wrong but long' }],
      ] as const) {
        expect({ path, ...(await alone.call(method, path, { as: user, ...(body ? { body } : {}) })) }).toMatchObject({
          path,
          status: 503,
          body: { code: 'unavailable' },
        });
      }
      expect((await whole.call('get', '/readyz')).status).toBe(200);
      expect((await whole.call('get', '/api/leases', { as: user })).status).toBe(200);
      await cut?.rejoin();
      await eventually(async () => (await alone.call('get', '/readyz')).status === 200, {
        what: 'the replica on the last server is ready again',
      });
    } finally {
      await Promise.all([whole.close(), alone.close()]);
    }
  }, 90_000);
});
