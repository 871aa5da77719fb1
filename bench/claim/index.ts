import { randomUUID } from 'node:crypto';
import type { Pool } from 'mysql2';
import type { RowDataPacket } from 'mysql2/promise';
import { createDatabase } from '../../src/db/connection';
import type { SecretRequest } from '../../src/flows/rent/rent-request';
import { createReserve, reserveAlone } from '../../src/flows/rent/reserve';
import { sqlCodeOf } from '../../src/db/transaction';
import { systemClock } from '../../src/lib/clock';
import { sha256 } from '../../src/lib/ids';
import { findUser, type User } from '../../src/modules/accounts';
import { createLab, type Lab, type MariaDb, startMariaDb } from '../../test/lab';
import { asRoot } from '../../test/lab/mariadb';
import { createTestContext } from '../../test/support/context';
import { createFakeProvisioner } from '../../test/support/fake-provisioner';
import { anSshKey } from '../../test/support/keys';
import type { Benchmark, BenchRun, Row } from '../benchmark';
import { byTurns, figure, perSecond, ratioOf } from '../measure';
import { type BareClaim, claimBare, claimTogether, closeBarePool, openBarePool } from './bare-claim';
import { createFleet, type Fleet } from './fleet';

const SIZES = [1_000, 10_000, 100_000];
const CALLERS = [1, 8, 32];
/** ORION_DB_POOL's default. Both sides. */
const POOL_SIZE = 10;

/** Claims in one round of one side: about a third of a second. */
const claimsOf = (callers: number): number => (callers === 1 ? 120 : 320);

/** The ways to claim in one database. */
interface Side {
  fleet: Fleet;
  ours: (call: number) => Promise<unknown>;
  bare: (call: number) => Promise<void>;
  batched: (call: number) => Promise<unknown>;
}

export const claim: Benchmark = {
  name: 'claim',
  method:
    `The transaction of a lone rent (\`flows/rent/reserve\`, as a request is tried again whose batch failed; 12 statements in 2 round trips: user, key, quota and node; rent, lease, placement, node, event and COMMIT), through flows, repository and driver, against the same texts by bare mysql2 (\`query\`, pool of ${POOL_SIZE} and session settings as Orion's; that both say the same is checked in each run, by the server's general log). ` +
    'MariaDB flushes every commit. Rounds of 120 claims (1 caller) or 320, ours and bare by turns, on databases of 1,000, 10,000 and 100,000 nodes in each round; after each, untimed, all nodes are freed and the purge is waited for. Each round uses other users than the last, so that no claim waits for the lock of its user\'s quota. "Flat" compares ours at 100,000 nodes with ours at 1,000. "A group of one" is what one caller gets of an API: the same transaction behind what groups callers (**batched-claims** has the crowd).',
  run: (run) => measureClaims(run),
};

async function measureClaims({ short, say }: BenchRun): Promise<Row[]> {
  const lab = createLab();
  try {
    const mariadb = await startMariaDb(lab, { durable: true, args: ['--innodb-buffer-pool-size=512M'] });
    const sides: Side[] = [];
    for (const nodes of SIZES) {
      const fleet = await createFleet(lab, mariadb, nodes);
      sides.push(await openSide(lab, mariadb, fleet));
      say(`${nodes} nodes are there`);
    }
    const rows: Row[] = [];
    for (const callers of CALLERS) {
      rows.push(...(await compare(sides, callers, short ? 2 : 7)));
      say(
        rows
          .slice(-SIZES.length - 1)
          .map(({ what, ratio }) => `${what} ${ratio.value.toFixed(2)}`)
          .join(', '),
      );
    }
    return [...rows, await compareBatched(sides.at(-1), short ? 2 : 7)];
  } finally {
    await lab.close();
  }
}

async function compare(sides: Side[], callers: number, rounds: number): Promise<Row[]> {
  const ours = sides.map((): number[] => []);
  const bare = sides.map((): number[] => []);
  // The first one warms up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [at, side] of sides.entries()) {
      const measured = await byTurns(
        round,
        [side.ours, side.bare].map((work) => () => oneRound(side.fleet, callers, work)),
      );
      if (round > 0) {
        ours[at]?.push(measured[0] ?? NaN);
        bare[at]?.push(measured[1] ?? NaN);
      }
    }
  }
  const many = callers === 1 ? '1 caller' : `${callers} callers`;
  const rows = sides.map(({ fleet }, at): Row => ({
    what: `claim, ${many}, ${fleet.nodes.toLocaleString('en')} nodes`,
    ours: figure(ours[at] ?? [], '/s'),
    against: 'the same SQL by bare mysql2',
    base: figure(bare[at] ?? [], '/s'),
    ratio: ratioOf(ours[at] ?? [], bare[at] ?? []),
    goal: { atLeast: 0.8 },
  }));
  const [few = [], most = []] = [ours[0], ours.at(-1)];
  return [
    ...rows,
    {
      what: `claim, ${many}, flat`,
      ours: figure(most, '/s'),
      against: 'ours with 1,000 nodes',
      base: figure(few, '/s'),
      ratio: ratioOf(most, few),
      goal: { atLeast: 0.8 },
    },
  ];
}

/** One caller: what batches callers against the bare transaction. */
async function compareBatched(side: Side | undefined, rounds: number): Promise<Row> {
  if (!side) {
    throw new Error('there is no fleet');
  }
  const { fleet, batched, ours } = side;
  const rates: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    const measured = await byTurns(
      round,
      [batched, ours].map((work) => () => oneRound(fleet, 1, work)),
    );
    if (round > 0) {
      measured.forEach((rate, at) => rates[at]?.push(rate));
    }
  }
  const [together, alone] = rates;
  return {
    what: `claim, 1 caller, a batch of one, ${fleet.nodes.toLocaleString('en')} nodes`,
    ours: figure(together, '/s'),
    against: 'the transaction alone',
    base: figure(alone, '/s'),
    ratio: ratioOf(together, alone),
  };
}

async function oneRound(fleet: Fleet, callers: number, work: (call: number) => Promise<unknown>): Promise<number> {
  const rate = await perSecond(claimsOf(callers), callers, work);
  await fleet.free();
  return rate;
}

async function openSide(lab: Lab, mariadb: MariaDb, fleet: Fleet): Promise<Side> {
  const db = createDatabase({ ...fleet.access, poolSize: POOL_SIZE });
  const pool = openBarePool(fleet.access, POOL_SIZE);
  lab.push('pool', () => db.destroy());
  lab.push('bare pool', () => closeBarePool(pool));
  const users = await Promise.all(fleet.userIds.map((id) => findUser(db, id)));
  const publicKey = anSshKey();
  const ctx = createTestContext(db, createFakeProvisioner());
  const reserve = createReserve(ctx);
  const side: Side = {
    fleet,
    ours: (call) => reserveAlone(ctx, aRentOf(users[call % users.length], publicKey)),
    batched: (call) => reserve(aRentOf(users[call % users.length], publicKey)),
    bare: (call) => claimWithPatience(claimTogether, pool, { userId: fleet.userIds[call % fleet.userIds.length] ?? 0, publicKey }),
  };
  await checkSameStatements(mariadb, side);
  return side;
}

/** What a client asks for that wants any one node. */
export function aRentOf(user: User | undefined, publicKey: string): SecretRequest {
  if (!user) {
    throw new Error('a user vanished');
  }
  const requirements = { cpus: 1, memoryMb: 0, labels: {} };
  return {
    user,
    passwordHash: null,
    requestedBy: user,
    durationSeconds: 3600,
    count: 1,
    requirements,
    publicKeys: [publicKey],
    keyInRequest: publicKey,
    withPassword: false,
    checkpoint: true,
    idempotencyKey: randomUUID(),
  };
}

/** The server has rolled back, and it is tried again, as db/transaction does. */
function isDeadlock(error: unknown): false {
  if (sqlCodeOf(error) !== 'ER_LOCK_DEADLOCK') {
    throw error;
  }
  return false;
}

/** As flows/support/when-free. */
const PAUSE_MS = 25;

export const claimBareWithPatience = (pool: Pool, userId: number, publicKey: string): Promise<void> =>
  claimWithPatience(claimBare, pool, { userId, publicKey });

async function claimWithPatience(
  claim: BareClaim,
  pool: Pool,
  { userId, publicKey }: { userId: number; publicKey: string },
): Promise<void> {
  const rent = { userId, idempotencyKey: randomUUID(), requestHash: sha256(publicKey), publicKey };
  while (!(await claim(pool, rent).catch(isDeadlock))) {
    await systemClock.sleep(PAUSE_MS * (0.5 + Math.random()));
  }
}

/** A comparison with other statements, or with fewer round trips, would be none: asks the server what it was told. */
async function checkSameStatements(mariadb: MariaDb, { fleet, ours, bare }: Side): Promise<void> {
  const saidByOurs = await listen(mariadb, fleet, () => ours(0));
  const saidByBare = await listen(mariadb, fleet, () => bare(1));
  await fleet.free();
  const differs = saidByOurs.findIndex((sql, at) => sql !== saidByBare[at]);
  if (differs >= 0 || saidByOurs.length !== saidByBare.length) {
    throw new Error(
      `a rent says something else than bench/claim/bare-claim.ts: ${saidByOurs[differs] ?? 'fewer statements'} instead of ${saidByBare[differs] ?? 'none'}`,
    );
  }
}

const VALUES = /'(?:[^'\\]|\\.)*'|\b\d+\b/g;

/** The statements that `work` sends, without their values. */
function listen(mariadb: MariaDb, { access }: Fleet, work: () => Promise<unknown>): Promise<string[]> {
  return asRoot(mariadb, async (root) => {
    await root.query("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON");
    await root.query('TRUNCATE mysql.general_log');
    await work();
    await root.query('SET GLOBAL general_log = OFF');
    const [said] = await root.query<RowDataPacket[]>(
      "SELECT CONVERT(argument USING utf8mb4) AS said FROM mysql.general_log WHERE command_type = 'Query' AND user_host LIKE ?",
      [`${access.user}[%`],
    );
    const statements = said.map((row) => (row['said'] as string).replace(VALUES, '?').replace(/\s+/g, ' '));
    return statements.filter((sql) => !sql.startsWith('SET SESSION'));
  });
}
