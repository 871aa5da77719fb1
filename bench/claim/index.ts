import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import type { Pool } from 'mysql2';
import { createDatabase } from '../../src/db/connection';
import type { WorkContext } from '../../src/flows/context';
import { reserveWithPatience } from '../../src/flows/rent-nodes';
import { systemClock } from '../../src/lib/clock';
import { sha256 } from '../../src/lib/ids';
import { findUser, type User } from '../../src/modules/accounts';
import { createLab, type Lab, startMariaDb } from '../../test/lab';
import { createTestContext } from '../../test/support/context';
import { createFakeProvisioner } from '../../test/support/fake-provisioner';
import { anSshKey } from '../../test/support/keys';
import type { Benchmark, BenchRun, Row } from '../benchmark';
import { byTurns, figure, perSecond, ratioOf } from '../measure';
import { claimBare, closeBarePool, openBarePool, STATEMENTS } from './bare-claim';
import { createFleet, type Fleet } from './fleet';

const SIZES = [1_000, 10_000, 100_000];
const CALLERS = [1, 8, 32];
/** ORION_DB_POOL's default. Both sides. */
const POOL_SIZE = 10;

/** Claims in one round of one side: about a third of a second. */
const claimsOf = (callers: number): number => (callers === 1 ? 120 : 320);

/** Both ways to claim in one database. */
interface Side {
  fleet: Fleet;
  ours: (call: number) => Promise<void>;
  bare: (call: number) => Promise<void>;
}

export const claim: Benchmark = {
  name: 'claim',
  method:
    `The transaction by which a rent takes its node (12 statements: user, key, quota, candidates, lock, rent, lease, node, event, placement), through flows, repository and Knex, against the same statements in the same order by bare mysql2 (\`query\`, pool of ${POOL_SIZE} and session settings as Orion's; that the statements are the same is checked in each run). ` +
    'MariaDB flushes every commit. Rounds of 120 claims (1 caller) or 320, ours and bare by turns, on databases of 1,000, 10,000 and 100,000 nodes in each round; after each, untimed, all nodes are freed and the purge is waited for. Other users claim than the last time, so that nobody waits for the lock of his own quota. "Flat" compares ours at 100,000 nodes with ours at 1,000.',
  run: (run) => measureClaims(run),
};

async function measureClaims({ short, say }: BenchRun): Promise<Row[]> {
  const lab = createLab();
  try {
    const mariadb = await startMariaDb(lab, { durable: true, args: ['--innodb-buffer-pool-size=512M'] });
    const sides: Side[] = [];
    for (const nodes of SIZES) {
      const fleet = await createFleet(lab, mariadb, nodes);
      sides.push(await openSide(lab, fleet));
      say(`${nodes} nodes are there`);
    }
    const rows: Row[] = [];
    for (const callers of CALLERS) {
      rows.push(...(await compare(sides, callers, short ? 2 : 7)));
      say(rows.slice(-SIZES.length - 1).map(({ what, ratio }) => `${what} ${ratio.value.toFixed(2)}`).join(', '));
    }
    return rows;
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
      const measured = await byTurns(round, [side.ours, side.bare].map((work) => () => oneRound(side.fleet, callers, work)));
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
    { what: `claim, ${many}, flat`, ours: figure(most, '/s'), against: 'ours with 1,000 nodes', base: figure(few, '/s'), ratio: ratioOf(most, few), goal: { atLeast: 0.8 } },
  ];
}

async function oneRound(fleet: Fleet, callers: number, work: (call: number) => Promise<void>): Promise<number> {
  const rate = await perSecond(claimsOf(callers), callers, work);
  await fleet.free();
  return rate;
}

async function openSide(lab: Lab, fleet: Fleet): Promise<Side> {
  const db = createDatabase({ ...fleet.access, poolSize: POOL_SIZE });
  const pool = openBarePool(fleet.access, POOL_SIZE);
  lab.push('pool', () => db.destroy());
  lab.push('bare pool', () => closeBarePool(pool));
  const users = await Promise.all(fleet.userIds.map((id) => findUser(db, id)));
  const publicKey = anSshKey();
  const ctx = createTestContext(db, createFakeProvisioner());
  const side: Side = {
    fleet,
    ours: (call) => claimOurs(ctx, users[call % users.length], publicKey),
    bare: (call) => claimBareWithPatience(pool, fleet.userIds[call % fleet.userIds.length] ?? 0, publicKey),
  };
  await checkSameStatements(db, side);
  return side;
}

async function claimOurs(ctx: WorkContext, user: User | undefined, publicKey: string): Promise<void> {
  if (!user) {
    throw new Error('a user vanished');
  }
  const requirements = { cpus: 1, memoryMb: 0, labels: {} };
  const request = { user, requestedBy: user, durationSeconds: 3600, count: 1, requirements, publicKeys: [publicKey], keyInRequest: publicKey, withPassword: false, idempotencyKey: randomUUID() };
  await reserveWithPatience(ctx, request, null);
}

/** As flows/when-free. */
const PAUSE_MS = 25;

async function claimBareWithPatience(pool: Pool, userId: number, publicKey: string): Promise<void> {
  const rent = { userId, idempotencyKey: randomUUID(), requestHash: sha256(publicKey), publicKey };
  while (!(await claimBare(pool, rent))) {
    await systemClock.sleep(PAUSE_MS * (0.5 + Math.random()));
  }
}

/** A comparison with other statements would be none. */
async function checkSameStatements(db: Knex, { fleet, ours, bare }: Side): Promise<void> {
  const seen: string[] = [];
  const note = ({ sql }: { sql: string }): void => void seen.push(sql);
  db.on('query', note);
  await ours(0);
  db.removeListener('query', note);
  await bare(1);
  await fleet.free();
  const missing = seen.findIndex((sql, at) => sql !== STATEMENTS[at]);
  if (missing >= 0 || seen.length !== STATEMENTS.length) {
    throw new Error(`a rent says something else than bench/claim/bare-claim.ts: ${seen[missing] ?? 'fewer statements'}`);
  }
}
