import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/connection';
import { createReserve } from '../../src/flows/rent/reserve';
import { systemClock } from '../../src/lib/clock';
import { findUser } from '../../src/modules/accounts';
import { createLab, type Lab, type MariaDb, startMariaDb } from '../../test/lab';
import { createTestContext } from '../../test/support/context';
import { createFakeProvisioner } from '../../test/support/fake-provisioner';
import { anSshKey } from '../../test/support/keys';
import type { Benchmark, BenchRun, Row } from '../benchmark';
import { aRentOf, claimBareWithPatience } from '../claim';
import { closeBarePool, openBarePool } from '../claim/bare-claim';
import { createFleet, type Fleet } from '../claim/fleet';
import { byTurns, figure, perSecond, ratioOf } from '../measure';

const SIZES = [1_000, 10_000, 100_000];
const CALLERS = 128;
/** Where transactions of one claim each are fastest. */
const BARE_POOL = 8;
/** As many as the smallest fleet has nodes for. */
const CLAIMS = 900;
const OLD_VIEW_SECONDS = 10;

export const batchedClaims: Benchmark = {
  name: 'batched-claims',
  method:
    `${CALLERS} callers at once in one process, each with rent after rent, through \`flows/rent/reserve\` as the API calls it: user, key, quota, node, rent, lease, event, placement, in one transaction for all that came together. Against a transaction of 12 statements for each claim that writes the same rows, by bare mysql2 with a pool of ${BARE_POOL} (bench/claim). ` +
    `MariaDB flushes every commit. Rounds of ${CLAIMS} claims, by turns; after each, untimed, all nodes are freed and the purge is waited for. "Flat" compares ours at 100,000 nodes with ours at 1,000. "Old read view": a transaction that has read the nodes stays open, so that nothing can be purged, while ${CALLERS} callers claim nodes of 100,000 for ${OLD_VIEW_SECONDS} s, five times: claims of the last second against those of the first.`,
  run: (run) => measureBatches(run),
};

export interface Side {
  fleet: Fleet;
  db: Knex;
  ours: (call: number) => Promise<unknown>;
  bare: (call: number) => Promise<unknown>;
}

async function measureBatches({ short, say }: BenchRun): Promise<Row[]> {
  const lab = createLab();
  try {
    const mariadb = await startMariaDb(lab, { durable: true, args: ['--innodb-buffer-pool-size=512M'] });
    const sides: Side[] = [];
    for (const nodes of SIZES) {
      sides.push(await openSide(lab, mariadb, nodes));
    }
    const figures = sides.map(() => ({ ours: [] as number[], bare: [] as number[] }));
    // The first one warms up.
    for (let round = 0; round <= (short ? 2 : 7); round += 1) {
      for (const [at, { fleet, ours, bare }] of sides.entries()) {
        const [one = NaN, other = NaN] = await byTurns(
          round,
          [ours, bare].map((work) => async () => {
            const rate = await perSecond(CLAIMS, CALLERS, work);
            await fleet.free();
            return rate;
          }),
        );
        if (round > 0) {
          figures[at]?.ours.push(one);
          figures[at]?.bare.push(other);
          say(`${fleet.nodes} nodes: ours ${one.toFixed(0)}/s, bare ${other.toFixed(0)}/s`);
        }
      }
    }
    const rows = sides.map(({ fleet }, at): Row => {
      const { ours = [], bare = [] } = figures[at] ?? {};
      return {
        what: `batched claims, ${CALLERS} callers, ${fleet.nodes.toLocaleString('en')} nodes`,
        ours: figure(ours, '/s'),
        against: `a transaction each, pool of ${BARE_POOL}, bare mysql2`,
        base: figure(bare, '/s'),
        ratio: ratioOf(ours, bare),
        goal: { atLeast: 10 },
      };
    });
    const [few, most] = [figures[0]?.ours ?? [], figures.at(-1)?.ours ?? []];
    const flat: Row = {
      what: 'batched claims, flat',
      ours: figure(most, '/s'),
      against: 'ours with 1,000 nodes',
      base: figure(few, '/s'),
      ratio: ratioOf(most, few),
      goal: { atLeast: 0.9 },
    };
    return [
      ...rows,
      flat,
      await withOldReadView(sides.at(-1), short ? { rounds: 1, seconds: OLD_VIEW_SECONDS / 2 } : { rounds: 5, seconds: OLD_VIEW_SECONDS }),
    ];
  } finally {
    await lab.close();
  }
}

/** Both ways to claim in one database, which is filled for it. */
export async function openSide(lab: Lab, mariadb: MariaDb, nodes: number): Promise<Side> {
  const fleet = await createFleet(lab, mariadb, nodes);
  const db = createDatabase({ ...fleet.access, poolSize: BARE_POOL });
  const pool = openBarePool(fleet.access, BARE_POOL);
  lab.push('pool', () => db.destroy());
  lab.push('bare pool', () => closeBarePool(pool));
  const users = await Promise.all(fleet.userIds.map((id) => findUser(db, id)));
  const publicKey = anSshKey();
  const reserve = createReserve(createTestContext(db, createFakeProvisioner()));
  return {
    fleet,
    db,
    ours: (call) => reserve(aRentOf(users[call % users.length], publicKey)),
    bare: (call) => claimBareWithPatience(pool, fleet.userIds[call % fleet.userIds.length] ?? 0, publicKey),
  };
}

async function withOldReadView(side: Side | undefined, { rounds, seconds }: { rounds: number; seconds: number }): Promise<Row> {
  if (!side) {
    throw new Error('there is no fleet');
  }
  const [first, last]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    const done = await claimsOfEachSecond(side, seconds);
    first.push(done[0] ?? NaN);
    last.push(done[seconds - 1] ?? NaN);
  }
  return {
    what: `batched claims, old read view, second ${seconds}`,
    ours: figure(last, '/s'),
    against: 'its first second',
    base: figure(first, '/s'),
    ratio: ratioOf(last, first),
    goal: { atLeast: 0.7 },
  };
}

async function claimsOfEachSecond({ db, ours, fleet }: Side, seconds: number): Promise<number[]> {
  const old = await db.transaction({ isolationLevel: 'repeatable read' });
  // Of somebody who is not Orion: its own transactions are ended when they say nothing.
  await old.raw('SET SESSION idle_transaction_timeout = 0');
  await old.raw('SELECT COUNT(*) FROM nodes');
  const done: number[] = [];
  const startedAt = systemClock.monotonicMs();
  const second = (): number => Math.floor((systemClock.monotonicMs() - startedAt) / 1000);
  let call = 0;
  const caller = async (): Promise<void> => {
    while (second() < seconds) {
      await ours(call++);
      done[second()] = (done[second()] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  await old.rollback();
  await fleet.free();
  return done;
}
