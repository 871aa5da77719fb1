import type { Knex } from 'knex';
import { describe, expect, it } from '@jest/globals';
import { type Tx, transaction } from '../../../src/db/transaction';
import {
  claimDuePlacements,
  insertLeases,
  insertRents,
  lockDueMigration,
  lockExpiredLeases,
  renewPlacement,
  failPlacement,
  completePlacement,
} from '../../../src/modules/leases';
import {
  claimDueProbes,
  claimDueWipes,
  claimFreeNode,
  lockProbedNode,
  occupyNodes,
  renewWipe,
  completeAliveProbe,
  completeWipe,
  failWipe,
} from '../../../src/modules/nodes';
import { aLease, aNode, severalNodes } from '../../support/builders';
import { age, count, row } from '../../support/database';
import { useForAll, useTestDatabase, useUser } from '../../support/hooks';

const database = useTestDatabase({ resetEach: true });
const pools = useForAll((): [Knex, Knex] => [database.db, database.secondPool()]);
const user = useUser(database);

const either = (n: number): Knex => (n % 2 ? pools[0] : pools[1]);
const inParallel = <T>(n: number, work: (db: Knex) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, each) => work(either(each))));
const anything = { cpus: 1, memoryMb: 0, labels: {} };

/** Holds a transaction open with whatever it has locked until it is told to go on. */
async function holding<T>(db: Knex, lock: (tx: Tx) => Promise<T>): Promise<{ locked: T; release: () => Promise<void> }> {
  let go: () => void = () => undefined;
  const told = new Promise<void>((resolve) => (go = resolve));
  let running: Promise<unknown> = Promise.resolve();
  const locked = await new Promise<T>((resolve, reject) => {
    running = transaction(db, async (tx) => {
      resolve(await lock(tx));
      await told;
    }).catch(reject);
  });
  return {
    locked,
    release: async () => {
      go();
      await running;
    },
  };
}

async function leaseOne(db: Knex): Promise<number | 'none' | 'busy'> {
  return transaction(db, async (tx) => {
    const free = await claimFreeNode(tx, anything);
    if (free.found !== 'one') {
      return free.found;
    }
    const { node } = free;
    const [rentId = 0] = await insertRents(tx, [{ userId: user.id, idempotencyKey: null, requestHash: 'h' }]);
    await insertLeases(tx, [
      { rentId, userId: user.id, nodeId: node.id, durationSeconds: 60, requirements: anything, publicKeys: [], passwordHash: null },
    ]);
    await occupyNodes(tx, [node.id]);
    return node.id;
  });
}

async function patiently(db: Knex): Promise<number | 'none'> {
  for (;;) {
    const result = await leaseOne(db);
    if (result !== 'busy') {
      return result;
    }
  }
}

const A_WIPE = {
  fence: 0,
  fleet: { first: 70_000, last: 2_000_000_000 },
  notExamined: [],
  checks: [],
  withheld: () => null,
  againSeconds: 300,
};

describe('claiming free nodes', () => {
  it('R13, I1: forty claims at once over twenty nodes get each node once', async () => {
    await severalNodes(database.db, 20);
    const results = await inParallel(40, patiently);
    const nodes = results.filter((result) => result !== 'none');
    expect(nodes).toHaveLength(20);
    expect(new Set(nodes).size).toBe(20);
  }, 20_000);

  it('R25: a node in other hands is passed over without waiting', async () => {
    const [tight] = [await aNode(database.db, { cpus: 1 }), await aNode(database.db, { cpus: 8 })];
    const other = await holding(pools[0], (tx) => claimFreeNode(tx, anything));
    expect(other.locked).toMatchObject({ found: 'one', node: { id: tight.id } });
    const mine = await holding(pools[1], (tx) => claimFreeNode(tx, anything));
    expect(mine.locked).toMatchObject({ found: 'one', node: { cpus: 8 } });
    expect(await transaction(pools[1], (tx) => claimFreeNode(tx, anything))).toEqual({ found: 'busy' });
    expect(await transaction(pools[1], (tx) => claimFreeNode(tx, { ...anything, cpus: 16 }))).toEqual({ found: 'none' });
    await Promise.all([other.release(), mine.release()]);
  });

  it('R5: one that died within the hour comes last, however well it fits', async () => {
    const [flapped, reliable] = [await aNode(database.db, { cpus: 1 }), await aNode(database.db, { cpus: 8 })];
    await age(database.db, 'UPDATE nodes SET last_death_at = UTC_TIMESTAMP(3) - INTERVAL 59 MINUTE WHERE id = ?', [flapped.id]);
    expect(await transaction(pools[0], (tx) => claimFreeNode(tx, anything))).toMatchObject({ node: { id: reliable.id } });
    await age(database.db, 'UPDATE nodes SET last_death_at = UTC_TIMESTAMP(3) - INTERVAL 61 MINUTE WHERE id = ?', [flapped.id]);
    expect(await transaction(pools[0], (tx) => claimFreeNode(tx, anything))).toMatchObject({ node: { id: flapped.id } });
  });
});

describe('claiming probes', () => {
  const claim = (db: Knex): ReturnType<typeof claimDueProbes> => transaction(db, (tx) => claimDueProbes(tx, 3, 30));

  it('R25: many schedulers share the nodes that are due, each once', async () => {
    await severalNodes(database.db, 30);
    await age(database.db, 'UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3)');
    const claimed = (await inParallel(20, claim)).flat().map(({ nodeId }) => nodeId);
    expect(claimed).toHaveLength(30);
    expect(new Set(claimed).size).toBe(30);
  });

  it('another worker takes an expired claim again, and the stale worker cannot complete it', async () => {
    const { id } = await aNode(database.db);
    await age(database.db, 'UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3)');
    const [stale] = await claim(pools[0]);
    expect(await claim(pools[1])).toEqual([]);
    await age(database.db, 'UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ?', [id]);
    const [fresh] = await claim(pools[1]);
    if (!stale || !fresh) {
      throw new Error('nothing was claimed');
    }
    const next = { reach: 'direct', directFailed: false, nextProbeSeconds: 30 } as const;
    expect(await completeAliveProbe(pools[0], stale, next)).toBe(false);
    expect(await transaction(pools[0], (tx) => lockProbedNode(tx, stale))).toBeUndefined();
    expect(await completeAliveProbe(pools[1], fresh, next)).toBe(true);
    expect(await completeAliveProbe(pools[1], fresh, next)).toBe(false);
  });
});

describe('claiming wipes', () => {
  const claim = (db: Knex): ReturnType<typeof claimDueWipes> => transaction(db, (tx) => claimDueWipes(tx, 3, 30));

  it('R25: each dirty node goes to one scheduler', async () => {
    await severalNodes(database.db, 30, { dirty: true });
    await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3)');
    const claimed = (await inParallel(20, claim)).flat().map(({ node }) => node.id);
    expect(claimed).toHaveLength(30);
    expect(new Set(claimed).size).toBe(30);
  });

  it('I5: a stale worker cannot call a node clean that was taken from it', async () => {
    const { id } = await aNode(database.db, { dirty: true });
    await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3)');
    const [stale] = await claim(pools[0]);
    await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND');
    const [fresh] = await claim(pools[1]);
    if (!stale || !fresh) {
      throw new Error('nothing was claimed');
    }
    expect(await renewWipe(pools[0], stale, 30)).toBe(false);
    expect(await transaction(pools[0], (tx) => completeWipe(tx, stale, A_WIPE))).toBeUndefined();
    expect(await transaction(pools[0], (tx) => failWipe(tx, stale, 5))).toBe(false);
    expect(await row(database.db, 'SELECT dirty, wipe_failures FROM nodes WHERE id = ?', [id])).toEqual({ dirty: 1, wipe_failures: 0 });
    expect(await renewWipe(pools[1], fresh, 30)).toBe(true);
    expect(await transaction(pools[1], (tx) => completeWipe(tx, fresh, A_WIPE))).toBeNull();
  });
});

describe('claiming placements', () => {
  const claim = (db: Knex): ReturnType<typeof claimDuePlacements> => transaction(db, (tx) => claimDuePlacements(tx, 3, 30));
  const leases = async (n: number): Promise<void> => {
    for (const { id } of await severalNodes(database.db, n)) {
      await aLease(database.db, { userId: user.id, nodeId: id, state: 'provisioning' });
    }
    await age(database.db, 'UPDATE placements SET due_at = UTC_TIMESTAMP(3)');
  };

  it('R25: each goes to one scheduler while its claim lasts', async () => {
    await leases(20);
    const claimed = (await inParallel(20, claim)).flat().map(({ id }) => id);
    expect(claimed).toHaveLength(20);
    expect(new Set(claimed).size).toBe(20);
    expect(await claim(pools[0])).toEqual([]);
  });

  it('I2: a stale worker cannot complete a placement that another worker has taken', async () => {
    await leases(1);
    const [stale] = await claim(pools[0]);
    await age(database.db, 'UPDATE placements SET due_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND');
    const [fresh] = await claim(pools[1]);
    if (!stale || !fresh) {
      throw new Error('nothing was claimed');
    }
    const outcome = {
      appliedEndsAt: (await row<{ ends_at: Date }>(database.db, 'SELECT ends_at FROM leases')).ends_at,
      accessRule: '',
      report: {},
    };
    expect(await renewPlacement(pools[0], stale, 30)).toBe(false);
    expect(await transaction(pools[0], (tx) => completePlacement(tx, stale, outcome))).toBe(false);
    expect(await transaction(pools[0], (tx) => failPlacement(tx, stale, { message: 'x', retrySeconds: 1 }))).toBe(false);
    expect(await transaction(pools[1], (tx) => completePlacement(tx, fresh, outcome))).toBe(true);
    expect(await row(database.db, 'SELECT state, due_at, attempts FROM placements')).toEqual({
      state: 'present',
      due_at: null,
      attempts: 0,
    });
  });

  it('R14: one whose lease was extended meanwhile stays due', async () => {
    await leases(1);
    const [claimed] = await claim(pools[0]);
    const { ends_at } = await row<{ ends_at: Date }>(database.db, 'SELECT ends_at FROM leases');
    await age(database.db, 'UPDATE leases SET ends_at = ends_at + INTERVAL 1 HOUR');
    if (!claimed) {
      throw new Error('nothing was claimed');
    }
    expect(
      await transaction(pools[0], (tx) => completePlacement(tx, claimed, { appliedEndsAt: ends_at, accessRule: '', report: {} })),
    ).toBe(true);
    expect(await row(database.db, 'SELECT state, due_at <= UTC_TIMESTAMP(3) AS due FROM placements')).toEqual({ state: 'present', due: 1 });
  });
});

describe('locking leases', () => {
  it('R22, R25: expired ones are shared out, running ones are left alone', async () => {
    for (const { id } of await severalNodes(database.db, 6)) {
      await aLease(database.db, { userId: user.id, nodeId: id });
    }
    await age(database.db, 'UPDATE leases SET created_at = created_at - INTERVAL 1 DAY, ends_at = UTC_TIMESTAMP(3) ORDER BY id LIMIT 4');
    const first = await holding(pools[0], (tx) => lockExpiredLeases(tx, 3));
    const rest = await transaction(pools[1], (tx) => lockExpiredLeases(tx, 3));
    expect(first.locked).toHaveLength(3);
    expect(rest).toHaveLength(1);
    expect(new Set([...first.locked, ...rest].map(({ id }) => id)).size).toBe(4);
    await first.release();
  });

  it('R21, R25: two schedulers never look at the same migration', async () => {
    for (const { id } of await severalNodes(database.db, 2)) {
      await aLease(database.db, { userId: user.id, nodeId: id });
    }
    await age(database.db, "UPDATE leases SET state = 'migrating', due_at = UTC_TIMESTAMP(3)");
    const [first, second] = [await holding(pools[0], lockDueMigration), await holding(pools[1], lockDueMigration)];
    expect(first.locked?.id).not.toBe(second.locked?.id);
    expect(await transaction(pools[0], lockDueMigration)).toBeUndefined();
    await Promise.all([first.release(), second.release()]);
    expect(await count(database.db, "SELECT COUNT(*) FROM leases WHERE state = 'migrating'")).toBe(2);
  });
});
