import type { Knex } from 'knex';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createDatabase } from '../../../src/db/connection';
import { selectFirst } from '../../../src/db/sql';
import type { Reserved } from '../../../src/flows/rent/rent-request';
import { type Reserve, reserveAlone } from '../../../src/flows/rent/reserve';
import { runPlacement } from '../../../src/flows/placements/run-placement';
import type { User } from '../../../src/modules/accounts';
import { type CommitFate, startDatabaseProxy } from '../../lab';
import { aUser, severalNodes } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { count } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useForAll, useLab, useTestDatabase } from '../../support/hooks';
import { aRequest, askAtOnce, countOf, replicaOn, type Told } from './support';

const lab = useLab();
const database = useTestDatabase({ resetEach: true });
const proxy = useForAll(() => startDatabaseProxy(lab, database.access));
let db: Knex;
let reserve: Reserve;
let users: User[];
beforeAll(() => {
  db = createDatabase({ ...database.access, host: proxy.host, port: proxy.port, poolSize: 8 });
  lab.push('pool', () => db.destroy());
});
beforeEach(async () => {
  reserve = replicaOn(db);
  await severalNodes(database.db, 20);
  users = await Promise.all(Array.from({ length: 5 }, () => aUser(database.db)));
});
afterEach(() => {
  proxy.decide = () => 'pass';
  proxy.onQuery = () => undefined;
});

const RENTS = 10;
const leases = (): Promise<number> => count(database.db, 'SELECT COUNT(*) FROM leases');
/** Callers, each with a key of his own, in one batch. */
const rents = (n: number): Promise<Told[]> =>
  askAtOnce(Array.from({ length: n }, (_, i) => [reserve, aRequest(users[i % 5] as User, { idempotencyKey: `key-${i}` })]));
const tenRents = (): Promise<Told[]> => rents(RENTS);

function strikeNextCommit(fate: CommitFate): void {
  proxy.decide = () => {
    proxy.decide = () => 'pass';
    return fate;
  };
}

describe('who wants many', () => {
  const locks = (text: string): boolean => /FROM nodes[^;]*FOR UPDATE/.test(text);

  it('and may not have them keeps none of them from others', async () => {
    const [user] = users as [User];
    const texts: string[] = [];
    proxy.onQuery = (text) => void texts.push(text);
    expect(countOf(await askAtOnce([[reserve, aRequest(user, { count: 20 })]]))).toEqual({ quota_exceeded: 1 });
    expect(texts.filter(locks)).toEqual([]);
    expect(countOf(await askAtOnce([[reserve, aRequest(user, { count: 5 })]]))).toEqual({ leased: 1 });
    expect(texts.filter(locks)).toHaveLength(1);
  });
});

describe('a lone rent', () => {
  it('takes two round trips', async () => {
    await selectFirst(db, 'SELECT 1');
    for (const told of ['leased', 'replayed']) {
      const before = proxy.queries;
      expect(countOf(await rents(1))).toEqual({ [told]: 1 });
      expect(proxy.queries - before).toBe(2);
    }
  });

  it('takes four round trips, and one more for the heartbeat that is expected', async () => {
    const single = createDatabase({ ...database.access, host: proxy.host, port: proxy.port, poolSize: 1 });
    try {
      const ctx = createTestContext(single, createFakeProvisioner());
      const {
        reserved: [reserved],
      } = await reserveAlone(ctx, aRequest(users[0] as User));
      const before = proxy.queries;
      await runPlacement(ctx, (reserved as Reserved).placement, reserved);
      expect(proxy.queries - before).toBe(5);
      expect(await count(database.db, "SELECT COUNT(*) FROM leases WHERE state = 'active'")).toBe(1);
    } finally {
      await single.destroy();
    }
  });

  it('is as good one statement at a time, and takes more', async () => {
    const slow = createDatabase({ ...database.access, host: proxy.host, port: proxy.port, poolSize: 1, multiStatements: false });
    try {
      reserve = replicaOn(slow);
      await selectFirst(slow, 'SELECT 1');
      const before = proxy.queries;
      expect(countOf(await rents(1))).toEqual({ leased: 1 });
      expect(proxy.queries - before).toBe(12);
      expect(countOf(await tenRents())).toEqual({ leased: 9, replayed: 1 });
    } finally {
      await slow.destroy();
    }
  });

  /** On a connection that strikes once, the first time that a row of the table is written. */
  async function struckOnce(moment: string, blow: string, check: (single: Knex) => Promise<void>): Promise<void> {
    const single = createDatabase({ ...database.access, host: proxy.host, port: proxy.port, poolSize: 1 });
    await database.db.raw(`CREATE TRIGGER strike ${moment} FOR EACH ROW IF @struck IS NULL THEN SET @struck = 1; ${blow}; END IF`);
    try {
      reserve = replicaOn(single);
      await check(single);
      expect((await selectFirst<{ struck: number }>(single, 'SELECT @struck AS struck'))?.struck).toBe(1);
    } finally {
      await database.db.raw('DROP TRIGGER strike');
      await single.destroy();
    }
  }

  it('that the server refuses once has done nothing, and goes its own way', () =>
    struckOnce('BEFORE INSERT ON events', "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'", async () => {
      expect(countOf(await rents(1))).toEqual({ leased: 1 });
      expect(await leases()).toBe(1);
    }));

  it('that is found to be wrong after its COMMIT is told so, and does not rent once more', () =>
    struckOnce('AFTER INSERT ON placements', 'UPDATE nodes SET lease_id = NEW.lease_id WHERE id = NEW.node_id', async () => {
      const [user] = users as [User];
      const [told] = await askAtOnce([[reserve, aRequest(user)]]);
      expect(told).toMatchObject({ is: expect.stringMatching('Error'), nodes: [] });
      expect(await leases()).toBe(1);
    }));
});

describe('a batch of rents', () => {
  it.each([
    [1, 'cut_before'],
    [1, 'cut_after'],
    [RENTS, 'cut_before'],
    [RENTS, 'cut_after'],
  ] as const)(
    'I3: of %i whose COMMIT is %s is unknown to all; each finds with its key what became of it',
    async (n, fate) => {
      const kept = fate === 'cut_before' ? 0 : n;
      strikeNextCommit(fate);
      expect(countOf(await rents(n))).toEqual({ unavailable: n });
      expect(await leases()).toBe(kept);
      expect(countOf(await rents(n))).toEqual(kept === 0 ? { leased: n } : { replayed: n });
      expect(await leases()).toBe(n);
    },
    20_000,
  );

  it('I3: whose connection was lost before its COMMIT has done nothing, and each goes its own way', async () => {
    // Several leases and no event yet: only a batch gets there.
    const trigger = `CREATE TRIGGER cut BEFORE INSERT ON events FOR EACH ROW
      IF (SELECT COUNT(*) FROM leases) = ${RENTS} AND (SELECT COUNT(*) FROM events) = 0 THEN KILL CONNECTION CONNECTION_ID(); END IF`;
    await database.db.raw(trigger);
    const before = proxy.commits;
    try {
      expect(countOf(await tenRents())).toEqual({ leased: RENTS });
      // More where the trigger's own look at the leases makes two of them deadlock: COMMIT travels with what it commits.
      expect(proxy.commits - before).toBeGreaterThanOrEqual(RENTS);
      expect(await leases()).toBe(RENTS);
    } finally {
      await database.db.raw('DROP TRIGGER cut');
    }
  }, 20_000);

  it('that is the victim of a deadlock begins anew', async () => {
    const trigger = `CREATE TRIGGER deadlock BEFORE INSERT ON events FOR EACH ROW
      IF @victim IS NULL THEN SET @victim = 1; SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'; END IF`;
    await database.db.raw(trigger);
    try {
      expect(countOf(await tenRents())).toEqual({ leased: RENTS });
      expect(await leases()).toBe(RENTS);
    } finally {
      await database.db.raw('DROP TRIGGER deadlock');
    }
  }, 20_000);
});
