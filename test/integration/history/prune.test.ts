import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { transaction } from '../../../src/db/transaction';
import { withDeadline } from '../../../src/lib/clock';
import type { User } from '../../../src/modules/accounts';
import { pruneEvents, recordEvent } from '../../../src/modules/audit';
import { deleteCheckpoints } from '../../../src/modules/checkpoints';
import { deleteLeases, lockOldLeases } from '../../../src/modules/leases';
import { aNode, aUser, type TestLease } from '../../support/builders';
import { age, count, openTestDatabase, rows, type TestDatabase } from '../../support/database';
import { aRequest, replicaOn } from '../rents/support';
import { anEndedLease, anEvent, aPruner, countHistory, fillHistory, pruneAll } from './support';

let database: TestDatabase;
let db: Knex;
let user: User;
let nodeId: number;
beforeAll(async () => {
  database = await openTestDatabase();
  ({ db } = database);
}, 60_000);
afterAll(() => database.close());
beforeEach(async () => {
  await database.reset();
  user = await aUser(db);
  nodeId = (await aNode(db)).id;
});

const ended = (days: number): Promise<TestLease> => anEndedLease(db, { userId: user.id, nodeId, days });
/** The newest account of the node, whose lease stays. The accounts before it may go. */
const newest = (): Promise<TestLease> => ended(0);
const leaseIds = async (): Promise<number[]> => (await rows<{ id: number }>(db, 'SELECT id FROM leases ORDER BY id')).map(({ id }) => id);
const NOTHING = { leases: 0, events: 0 };
const eachOnce = (n: number): Record<string, number> => ({ leases: n, rents: n, placements: n, extensions: n, checkpoints: n, events: n });

const fill = (n: number, perRent = 1): Promise<void> => fillHistory(db, { userId: user.id, nodeId, n, perRent });

describe('the history', () => {
  it('R41: of a lease goes as a whole when it is older than the setting; a younger one stays as a whole', async () => {
    await ended(401);
    const young = await ended(399);
    const last = await newest();
    await anEvent(db, 500, young.id);
    expect(await pruneAll(aPruner(db))).toEqual({ leases: 1, events: 1 });
    expect(await leaseIds()).toEqual([young.id, last.id]);
    expect(await countHistory(db)).toEqual({ ...eachOnce(2), events: 3 });
  }, 30_000);

  it('R41: of what is no lease goes when it is older than the setting, and not before', async () => {
    await anEvent(db, 401);
    await anEvent(db, 399);
    expect(await pruneAll(aPruner(db))).toEqual({ leases: 0, events: 1 });
    expect(await pruneAll(aPruner(db, 398))).toEqual({ leases: 0, events: 1 });
  }, 30_000);

  it('R41: of a rent that failed goes too', async () => {
    const { id } = await ended(401);
    await newest();
    await age(db, "UPDATE leases SET state = 'failed' WHERE id = ?", [id]);
    expect(await pruneAll(aPruner(db))).toEqual({ leases: 1, events: 1 });
  }, 30_000);

  it('R41: stays for ever with the setting 0', async () => {
    await ended(9_000);
    await newest();
    expect(await pruneAll(aPruner(db, 0))).toEqual(NOTHING);
    expect(await countHistory(db)).toEqual(eachOnce(2));
  }, 30_000);

  it('R41: behind rows that must stay goes in the same round', async () => {
    await fill(700);
    await age(db, "UPDATE placements SET state = 'wiping' WHERE lease_id < 699");
    expect(await pruneAll(aPruner(db))).toEqual({ leases: 1, events: 1 });
    expect(await leaseIds()).not.toContain(699);
  }, 30_000);
});

describe('a lease that is old', () => {
  const update = (table: string, key: string, ...sets: [string, string]): [string, string] => [
    `UPDATE ${table} SET ${sets[0]} WHERE ${key} = ?`,
    `UPDATE ${table} SET ${sets[1]} WHERE ${key} = ?`,
  ];
  const NEEDED: [why: string, keep: string, letGo: string][] = [
    ['has an account that is not wiped', ...update('placements', 'lease_id', "state = 'wiping'", "state = 'wiped'")],
    ['has a home in the store', ...update('checkpoints', 'lease_id', 'due_at = UTC_TIMESTAMP(3)', 'due_at = NULL')],
    ['is on a node', 'UPDATE nodes SET lease_id = ?', 'UPDATE nodes SET lease_id = NULL WHERE lease_id = ?'],
    ['had to wait for its wipe until lately', ...update('leases', 'id', 'ended_at = UTC_TIMESTAMP(3)', 'ended_at = ends_at')],
    ['is being ended', ...update('leases', 'id', "state = 'ending', ended_at = NULL", "state = 'ended', ended_at = ends_at")],
    ['has the newest account of its node', ...update('placements', 'lease_id', 'uid = 100000', 'uid = 70001')],
  ];
  it.each(NEEDED)(
    'R24: stays with all that belongs to it while it %s',
    async (_why, keep, letGo) => {
      const { id } = await ended(401);
      await newest();
      await age(db, keep, [id]);
      expect(await pruneAll(aPruner(db))).toEqual(NOTHING);
      expect(await countHistory(db)).toEqual(eachOnce(2));
      await age(db, letGo, [id]);
      expect(await pruneAll(aPruner(db))).toEqual({ leases: 1, events: 1 });
    },
    30_000,
  );

  it('R24: has the newest account of a node that is retired: it goes', async () => {
    await ended(401);
    await age(db, "UPDATE nodes SET status = 'retired'");
    expect(await pruneAll(aPruner(db))).toEqual({ leases: 1, events: 1 });
    expect(await countHistory(db)).toEqual(eachOnce(0));
  }, 30_000);

  it('R11: leaves its rent to the other leases of the rent', async () => {
    const [old, young] = [await ended(401), await ended(399)];
    await age(db, 'UPDATE leases a JOIN leases b ON b.id = ? SET a.rent_id = b.rent_id WHERE a.id = ?', [old.id, young.id]);
    await newest();
    await pruneAll(aPruner(db));
    expect(await count(db, 'SELECT COUNT(*) FROM rents JOIN leases ON rents.id = rent_id WHERE leases.id = ?', [young.id])).toBe(1);
    const older = ['created_at', 'ended_at', 'ends_at'].map((column) => `${column} = ${column} - INTERVAL 2 DAY`).join(', ');
    await age(db, `UPDATE leases SET ${older} WHERE id = ?`, [young.id]);
    await pruneAll(aPruner(db));
    expect(await count(db, 'SELECT COUNT(*) FROM rents JOIN leases ON rents.id = rent_id')).toBe(1);
  }, 30_000);
});

describe('several schedulers', () => {
  it('R25: share the work: each row goes once, and no rent is left behind', async () => {
    await fill(2_000, 2);
    const pruners = [db, database.secondPool(), database.secondPool()].map((pool) => pruneAll(aPruner(pool)));
    const deleted = await Promise.all(pruners);
    const [last] = [await pruneAll(aPruner(db))];
    const sum = (kind: 'leases' | 'events'): number => [...deleted, last].reduce((total, each) => total + each[kind], 0);
    expect({ leases: sum('leases'), events: sum('events') }).toEqual({ leases: 1_999, events: 1_999 });
    expect(await countHistory(db)).toEqual({ ...eachOnce(1), extensions: 0, checkpoints: 0 });
  }, 30_000);

  it('R25: hold up no rent and no event, however long one of them stands in its transaction', async () => {
    await fill(200);
    await anEvent(db, 500);
    const free = await aNode(db);
    await transaction(database.secondPool(), async (tx) => {
      const window = { days: 400, after: undefined, limit: 150 };
      const { ids } = await lockOldLeases(tx, 'ended', window);
      await deleteCheckpoints(tx, ids);
      await deleteLeases(tx, ids);
      expect([ids.length, (await pruneEvents(tx, window)).deleted]).toEqual([150, 150]);
      const rent = await withDeadline(5_000, async () => {
        await recordEvent(db, { type: 'user.created', actor: 'test' });
        return replicaOn(db)(aRequest(user, { idempotencyKey: 'k' }));
      });
      expect([nodeId, free.id]).toContain(rent.reserved[0]?.node.id);
    });
    expect(await pruneAll(aPruner(db))).toEqual({ leases: 49, events: 50 });
    expect(await count(db, 'SELECT COUNT(*) FROM leases')).toBe(2);
  }, 30_000);

  it('R25: lose nothing by half when one of them dies in its transaction', async () => {
    await fill(20);
    const before = await countHistory(db);
    const dying = transaction(db, async (tx) => {
      const { ids } = await lockOldLeases(tx, 'ended', { days: 400, after: undefined, limit: 10 });
      await deleteLeases(tx, ids);
      throw new Error('killed');
    });
    await expect(dying).rejects.toThrow('killed');
    expect(await countHistory(db)).toEqual(before);
    expect(await pruneAll(aPruner(db))).toEqual({ leases: 19, events: 19 });
  }, 30_000);
});
