import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Knex } from 'knex';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Statements } from '../../../src/db/migrations/statements';
import { selectRows } from '../../../src/db/sql';
import { type Tx, transaction } from '../../../src/db/transaction';
import { BLOCK, type BlockWish, claimDueWipes, findNode, giveBlock, completeWipe, takeUid } from '../../../src/modules/nodes';
import { projectDir, run } from '../../lab';
import { aLease, aNode, aUser } from '../../support/builders';
import { age, migrationsDir, row } from '../../support/database';
import { useTestDatabase } from '../../support/hooks';

const FLEET = { first: 70_000, last: 2_000_000_000 };
const database = useTestDatabase({ resetEach: true });
let db: Knex;
beforeAll(() => {
  ({ db } = database);
});
beforeEach(() => db.raw('DELETE FROM uid_blocks'));

const give = (wish: Partial<BlockWish> = {}, pool = db): Promise<number | null> =>
  transaction(pool, (tx) => giveBlock(tx, { nodeId: 1, own: null, fleet: FLEET, above: 0, ...wish }));

/** As after a verified wipe, with the fence that the machine reports. */
async function wiped(nodeId: number, { fence = 0, fleet = FLEET } = {}): Promise<string | null | undefined> {
  await age(db, 'UPDATE nodes SET dirty = 1, wipe_due_at = UTC_TIMESTAMP(3) WHERE id = ?', [nodeId]);
  const [claim] = await transaction(db, (tx) => claimDueWipes(tx, 1, 30));
  if (claim?.node.id !== nodeId) {
    throw new Error('another node was due');
  }
  return transaction(db, (tx) =>
    completeWipe(tx, claim, { fence, fleet, notExamined: [], checks: [], withheld: () => null, againSeconds: 300 }),
  );
}
const uidsOf = (nodeId: number): Promise<{ next_uid: number; uid_end: number | null }> =>
  row(db, 'SELECT next_uid, uid_end FROM nodes WHERE id = ?', [nodeId]);

describe('blocks of uids', () => {
  it('are given once, a thousand of them wanted by two replicas at the same time', async () => {
    const second = database.secondPool();
    const each50 = async (at: number): Promise<(number | null)[]> => {
      const given: (number | null)[] = [];
      while (given.length < 50) {
        given.push(await give({ nodeId: at }, at % 2 ? db : second));
      }
      return given;
    };
    const firsts = (await Promise.all(Array.from({ length: 20 }, (_, at) => each50(at)))).flat();
    expect(new Set(firsts).size).toBe(1000);
    expect(firsts.map(Number).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, at) => 70_016 + at * BLOCK));
  }, 120_000);

  it('a second transaction waits for the first, and takes the next block, or the same one when the first is rolled back', async () => {
    for (const outcome of ['commit', 'rollback']) {
      let go: () => void = () => undefined;
      const told = new Promise<void>((resolve) => (go = resolve));
      let reached: (first: number | null) => void = () => undefined;
      const reaches = new Promise<number | null>((resolve) => (reached = resolve));
      const first = transaction(db, async (tx: Tx) => {
        reached(await giveBlock(tx, { nodeId: 1, own: null, fleet: FLEET, above: 0 }));
        await told;
        if (outcome === 'rollback') {
          throw new Error('never mind');
        }
      }).catch(() => undefined);
      const given = Number(await reaches);
      const second = give({ nodeId: 2 });
      go();
      await first;
      expect(await second).toBe(outcome === 'commit' ? given + BLOCK : given);
    }
  });

  it('that a machine wants far ahead leave the fleet its sequence, which passes over them when it gets there', async () => {
    expect(await give()).toBe(70_016);
    expect(await give({ above: 70_100 })).toBe(70_144);
    expect([await give({ above: 1_999_999_000 }), await give({ above: 1_999_999_000 })]).toEqual([1_999_999_040, 1_999_999_104]);
    expect(await give()).toBe(70_208);
    const far = Number(await give({ above: 5_000_000 }));
    await db.raw('UPDATE uid_blocks SET first = ? WHERE first = 70208', [far - BLOCK]);
    expect(await give()).toBe(far + BLOCK);
  });

  it("of a machine's own range have a sequence of their own, and neither takes the other's numbers", async () => {
    const own = { first: 200_000, last: 200_255 };
    expect([await give({ own }), await give({ own }), await give({ own })]).toEqual([200_000, 200_064, 200_128]);
    expect(await give()).toBe(70_016);
    await db.raw('UPDATE uid_blocks SET first = 199936 WHERE first = 70016');
    expect(await give()).toBe(200_192);
    expect(await give({ own })).toBeNull();
  });

  it('are refused when the range has none left', async () => {
    const fleet = { first: 70_000, last: 70_200 };
    expect([await give({ fleet }), await give({ fleet }), await give({ fleet })]).toEqual([70_016, 70_080, null]);
    expect(await give({ fleet, above: 3_000_000 })).toBeNull();
  });

  it('never hold a number that an older release gave', async () => {
    const user = await aUser(db);
    const { id } = await aNode(db);
    const { placementId } = await aLease(db, { userId: user.id, nodeId: id });
    await age(db, 'UPDATE placements SET uid = 70050 WHERE id = ?', [placementId]);
    await age(db, 'UPDATE nodes SET next_uid = 70081 WHERE id = ?', [id]);
    const { up } = (await import(pathToFileURL(join(migrationsDir, '0018_uid_blocks.mjs')).href)) as {
      up: (statements: Statements) => Promise<void>;
    };
    await up({ raw: async (sql, bindings = []) => (await db.raw(sql, bindings as never)) as unknown });
    expect([await give(), await give()]).toEqual([70_144, 70_208]);
  });
});

describe('a node', () => {
  it('gets its block with its first verified wipe, keeps it while enough is left, and then gets another', async () => {
    const [one, other] = [await aNode(db), await aNode(db)];
    await wiped(one.id);
    await wiped(other.id);
    expect([await uidsOf(one.id), await uidsOf(other.id)]).toEqual([
      { next_uid: 70_016, uid_end: 70_080 },
      { next_uid: 70_080, uid_end: 70_144 },
    ]);
    await age(db, 'UPDATE nodes SET next_uid = 70064 WHERE id = ?', [one.id]);
    await wiped(one.id, { fence: 70_063 });
    expect(await uidsOf(one.id)).toEqual({ next_uid: 70_064, uid_end: 70_080 });
    await age(db, 'UPDATE nodes SET next_uid = 70065 WHERE id = ?', [one.id]);
    await wiped(one.id, { fence: 70_064 });
    expect(await uidsOf(one.id)).toEqual({ next_uid: 70_144, uid_end: 70_208 });
  });

  it('whose fence is beyond its block gets one beyond the fence', async () => {
    const { id } = await aNode(db);
    await wiped(id);
    await wiped(id, { fence: 70_079 });
    expect(await uidsOf(id)).toEqual({ next_uid: 70_080, uid_end: 70_144 });
    await wiped(id, { fence: 900_000_000 });
    expect((await uidsOf(id)).next_uid).toBe(900_000_064);
  });

  it("leaves its block when the fleet's range or its own becomes another", async () => {
    const { id } = await aNode(db);
    await wiped(id);
    await wiped(id, { fleet: { first: 300_000, last: 400_000 } });
    expect(await uidsOf(id)).toEqual({ next_uid: 300_032, uid_end: 300_096 });
    await age(db, 'UPDATE nodes SET uid_range_first = 500000, uid_range_last = 500999 WHERE id = ?', [id]);
    await wiped(id);
    expect(await uidsOf(id)).toEqual({ next_uid: 500_032, uid_end: 500_096 });
    expect((await findNode(db, id))?.uidRange).toEqual({ first: 500_000, last: 500_999 });
  });

  it('for which no number is left is not leased, with a reason, and is leased once there is one', async () => {
    const [one, other] = [await aNode(db), await aNode(db)];
    const fleet = { first: 70_000, last: 70_127 };
    expect(await wiped(one.id, { fleet })).toBeNull();
    const reason = await wiped(other.id, { fleet });
    expect(reason).toMatch(/^no uid is left for it in the range of the fleet .*70000-70127; set a larger range$/);
    expect(await findNode(db, other.id)).toMatchObject({ leasable: false, dirty: true, withheldReason: reason });
    expect(await row(db, 'SELECT wipe_due_at > UTC_TIMESTAMP(3) AS later FROM nodes WHERE id = ?', [other.id])).toEqual({ later: 1 });
    expect(await wiped(other.id)).toBeNull();
    expect(await findNode(db, other.id)).toMatchObject({ leasable: true, dirty: false, withheldReason: null });
  });

  it('takes the next number from a refusal: in its block while it can, then from another', async () => {
    const { id } = await aNode(db);
    await wiped(id);
    const take = (least: number): Promise<number | null> => transaction(db, (tx) => takeUid(tx, { nodeId: id, fleet: FLEET, least }));
    expect([await take(70_017), await take(70_018), await take(70_079)]).toEqual([70_017, 70_018, 70_079]);
    expect(await uidsOf(id)).toEqual({ next_uid: 70_080, uid_end: 70_080 });
    expect(await take(70_080)).toBe(70_080);
    expect(await take(165_536)).toBe(165_568);
    expect(await uidsOf(id)).toEqual({ next_uid: 165_569, uid_end: 165_632 });
  });
});

it('after a restore no number that was given since the backup is given again', async () => {
  const [one, own] = [await aNode(db), await aNode(db)];
  await age(db, 'UPDATE nodes SET uid_range_first = 500000, uid_range_last = 509999 WHERE id = ?', [own.id]);
  await wiped(one.id);
  await wiped(own.id);
  // What a backup of this moment does not know of.
  const since = [
    ...(await Promise.all(Array.from({ length: 100 }, () => give()))),
    await give({ own: { first: 500_000, last: 509_999 } }),
    await give({ above: 8_000_000 }),
  ].map(Number);
  await db.raw('DELETE FROM uid_blocks WHERE first IN (?)', [since]);
  const { host, port, user, password, database: name } = database.access;
  const sql = readFileSync(join(projectDir, 'scripts', 'lib', 'backup-make-safe.sql'), 'utf8');
  const done = await run('mariadb', ['-h', host, '-P', String(port), '-u', user, name], {
    input: sql,
    env: { ...process.env, MYSQL_PWD: password },
  });
  expect(done.code === 0 ? '' : done.stderr).toBe('');
  for (const { id } of [one, own]) {
    expect(await uidsOf(id)).toMatchObject({ uid_end: null });
    await wiped(id);
  }
  const given = await selectRows<{ first: number }>(db, 'SELECT first FROM uid_blocks WHERE node_id IS NOT NULL');
  expect(given).toHaveLength(4);
  expect(given.filter(({ first }) => since.includes(first))).toEqual([]);
  expect((await uidsOf(one.id)).next_uid).toBeGreaterThan(70_016 + 1000 * BLOCK);
  const { next_uid: inOwn } = await uidsOf(own.id);
  expect(inOwn).toBeGreaterThan(502_000);
  expect(inOwn).toBeLessThan(509_900);
});
