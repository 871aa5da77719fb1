import fc from 'fast-check';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Reserve } from '../../../src/flows/rent/reserve';
import type { User } from '../../../src/modules/accounts';
import { fitOf, type Labels } from '../../../src/modules/nodes';
import { aNode, aUser, severalNodes } from '../../support/builders';
import { age, count, rows } from '../../support/database';
import { useTestDatabase } from '../../support/hooks';
import { anything, aRequest, askAtOnce, countOf, replicaOn, type Told } from './support';

const database = useTestDatabase({ resetEach: true });
let one: Reserve;
let other: Reserve;
beforeAll(() => {
  [one, other] = [replicaOn(database.db), replicaOn(database.secondPool())];
});

const several = (n: number, each: (i: number) => [Reserve, ReturnType<typeof aRequest>]): Promise<Told[]> =>
  askAtOnce(Array.from({ length: n }, (_, i) => each(i)));

/** Every lease has its node, its placement and its event, and every node its lease: no half of a rent. */
async function expectWhole(leases: number): Promise<void> {
  expect(await count(database.db, 'SELECT COUNT(*) FROM leases')).toBe(leases);
  expect(
    await count(
      database.db,
      `SELECT COUNT(DISTINCT n.id) FROM leases l JOIN nodes n ON n.lease_id = l.id AND n.id = l.occupied_node_id AND n.next_uid = 70001
         JOIN rents r ON r.id = l.rent_id AND r.user_id = l.user_id
         JOIN placements p ON p.current_lease_id = l.id AND p.node_id = n.id AND p.uid = 70000 AND p.claim_token IS NOT NULL
         JOIN events e ON e.lease_id = l.id AND e.node_id = n.id AND e.user_id = l.user_id AND e.type = 'lease.requested'`,
    ),
  ).toBe(leases);
  expect(await count(database.db, 'SELECT COUNT(*) FROM nodes WHERE lease_id IS NOT NULL')).toBe(leases);
}

describe('rents that share a transaction', () => {
  it('R13/I1: 200 at once over two replicas and 50 nodes take each node once', async () => {
    await severalNodes(database.db, 50);
    const users = await Promise.all(Array.from({ length: 10 }, () => aUser(database.db, { maxLeases: 50 })));
    const told = await several(200, (i) => [i % 2 ? one : other, aRequest(users[i % 10] as User)]);
    expect(countOf(told)).toEqual({ leased: 50, no_node_free: 150 });
    expect(new Set(told.flatMap(({ nodes }) => nodes)).size).toBe(50);
    await expectWhole(50);
  }, 30_000);

  it('R15: one user gets what his quota has room for, in one replica or two', async () => {
    await severalNodes(database.db, 12);
    const user = await aUser(database.db, { maxLeases: 5 });
    expect(countOf(await several(12, (i) => [i % 3 ? one : other, aRequest(user)]))).toEqual({ leased: 5, quota_exceeded: 7 });
    await expectWhole(5);
  }, 20_000);

  it('I3: a key stands for one rent, however often and wherever it is used at once', async () => {
    await severalNodes(database.db, 12);
    const [user, stranger] = [await aUser(database.db), await aUser(database.db)];
    const told = await several(24, (i) => [i % 2 ? one : other, aRequest(user, { idempotencyKey: 'k' })]);
    expect(countOf(told)).toEqual({ leased: 1, replayed: 23 });
    expect(new Set(told.map(({ rentId }) => rentId)).size).toBe(1);
    const mixed = await several(2, (i) => [one, aRequest(user, { idempotencyKey: 'm', count: 1 + i })]);
    expect(mixed.map(({ is }) => is)).toEqual(['leased', 'idempotency_key_reused']);
    expect((await several(2, (i) => [one, aRequest(i ? user : stranger, { idempotencyKey: 'k' })])).map(({ is }) => is)).toEqual([
      'leased',
      'replayed',
    ]);
    await expectWhole(3);
  }, 20_000);

  it('R11: several nodes for one caller are all or nothing', async () => {
    await severalNodes(database.db, 5);
    const user = await aUser(database.db, { maxLeases: 50 });
    const told = await several(3, (i) => [one, aRequest(user, { count: [3, 3, 2][i] ?? 0 })]);
    expect(told.map(({ is, nodes }) => [is, nodes.length])).toEqual([
      ['leased', 3],
      ['no_node_free', 0],
      ['leased', 2],
    ]);
    await expectWhole(5);
  });

  it("one caller's refusal is his alone: his term, his quota, an account that is gone, what no machine offers", async () => {
    await severalNodes(database.db, 10);
    const [good, poor] = [await aUser(database.db), await aUser(database.db, { maxLeases: 1 })];
    const nowhere = aRequest(poor, { requirements: { ...anything, cpus: 4000 } });
    const asks = [
      aRequest(good),
      aRequest(good, { durationSeconds: 1e6 }),
      nowhere,
      aRequest(poor),
      aRequest(poor),
      aRequest({ ...good, id: 999_999 }),
      aRequest(good),
    ];
    const told = await askAtOnce(asks.map((ask) => [one, ask]));
    expect(told.map(({ is }) => is)).toEqual([
      'leased',
      'duration_too_long',
      'no_node_free',
      'leased',
      'quota_exceeded',
      'not_found',
      'leased',
    ]);
    await expectWhole(3);
  }, 20_000);

  it('what the database refuses of one caller fails that caller, and the others get theirs', async () => {
    await severalNodes(database.db, 10);
    const user = await aUser(database.db);
    const told = await several(5, (i) => [one, aRequest(user, i === 2 ? { passwordHash: 'x'.repeat(300) } : {})]);
    expect(told.map(({ is }) => is)).toEqual(['leased', 'leased', expect.stringContaining('password_hash'), 'leased', 'leased']);
    await expectWhole(4);
  });

  it('R25: a user whose row is in other hands keeps nobody else waiting', async () => {
    await severalNodes(database.db, 2);
    const [held, free] = [await aUser(database.db), await aUser(database.db)];
    const locker = await database.secondPool().transaction();
    await locker.raw('SELECT id FROM users WHERE id = ? FOR UPDATE', [held.id]);
    const waiting = askAtOnce([[one, aRequest(held)]]);
    expect(countOf(await askAtOnce([[one, aRequest(free)]]))).toEqual({ leased: 1 });
    await locker.rollback();
    expect(countOf(await waiting)).toEqual({ leased: 1 });
  });

  it('R5: one that died within the hour comes last, and a crowd takes it all the same', async () => {
    const [flapped] = [await aNode(database.db, { cpus: 1 }), await aNode(database.db, { cpus: 8 })];
    await age(database.db, 'UPDATE nodes SET last_death_at = UTC_TIMESTAMP(3) - INTERVAL 59 MINUTE WHERE id = ?', [flapped.id]);
    const user = await aUser(database.db);
    const told = await several(3, () => [one, aRequest(user)]);
    expect(told.map(({ is, nodes }) => [is, nodes[0] === flapped.id])).toEqual([
      ['leased', false],
      ['leased', true],
      ['no_node_free', false],
    ]);
  });
});

const nodeShape = fc.record({
  cpus: fc.integer({ min: 1, max: 4 }),
  memoryMb: fc.constantFrom(1024, 4096),
  labels: fc.constantFrom<Labels[]>({}, { zone: 'a' }, { zone: 'b' }),
});
const wish = fc.record({
  user: fc.nat(2),
  count: fc.integer({ min: 1, max: 3 }),
  durationSeconds: fc.constantFrom(3600, 3600, 3600, 1e6),
  idempotencyKey: fc.constantFrom(null, null, 'k', 'l'),
  requirements: fc.record({
    cpus: fc.integer({ min: 1, max: 4 }),
    memoryMb: fc.constantFrom(0, 2048),
    labels: fc.constantFrom<Labels[]>({}, { zone: 'a' }),
  }),
});

/** No two nodes fit equally well: of such, whoever comes alone gets either, by chance. */
describe('a batch and the same callers one by one', () => {
  it('have the same outcome', async () => {
    const alone = replicaOn(database.db, 1);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(nodeShape, { maxLength: 8, selector: fitOf }),
        fc.array(wish, { minLength: 1, maxLength: 12 }),
        async (nodes, wishes) => {
          const play = async (
            ask: (asks: [Reserve, ReturnType<typeof aRequest>][]) => Promise<Told[]>,
            reserve: Reserve,
          ): Promise<unknown[]> => {
            await database.reset();
            const users = [
              await aUser(database.db, { maxLeases: 0 }),
              await aUser(database.db, { maxLeases: 3 }),
              await aUser(database.db, { maxLeases: 20 }),
            ];
            for (const shape of nodes) {
              await aNode(database.db, shape);
            }
            const told = await ask(wishes.map(({ user, ...rest }) => [reserve, aRequest(users[user] as User, rest)]));
            const found = await rows<{ id: number; fit: number }>(database.db, 'SELECT id, fit FROM nodes');
            const rents = [...new Set(told.flatMap(({ rentId }) => rentId ?? []))];
            return told.map(({ is, rentId, nodes: got }) => [
              is,
              rentId === undefined ? null : rents.indexOf(rentId),
              got.map((id) => found.find((each) => each.id === id)?.fit),
            ]);
          };
          const oneByOne = await play(async (asks) => {
            const told: Told[] = [];
            for (const ask of asks) {
              told.push(...(await askAtOnce([ask])));
            }
            return told;
          }, alone);
          expect(await play(askAtOnce, replicaOn(database.db))).toEqual(oneByOne);
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);
});
