import type { Knex } from 'knex';
import { createDatabase } from '../src/db/connection';
import { systemClock } from '../src/lib/clock';
import { createLab, type DatabaseAccess, type Lab, type MariaDb, startMariaDb, testConstants } from '../test/lab';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { createFleet } from './claim/fleet';
import { cpuSecondsOf } from './measure';
import { startRole } from './start-role';

const FEW = 1_000;
const MANY = 100_000;
/** Of the first passes, and of the processes' own beginning, nothing is left then. */
const SETTLED_MS = 5_000;
/** Longer than the rounds that a scheduler makes of a fleet of 100,000. */
const SECONDS = 30;

export const rest: Benchmark = {
  name: 'rest',
  method:
    `What an API and a scheduler, default settings, cost while nothing happens: user and system time of MariaDB and of both over ${SECONDS} s, with ${MANY.toLocaleString('en')} nodes registered and with ${FEW.toLocaleString('en')}. ` +
    'No agent calls home, no probe is due and no session is pooled: **load**, **heartbeat** and **keepalive-probes** have those, whose cost grows with the fleet. What is left is the loops that look for something to do: one that goes through all nodes to find nothing shows here.',
  run: (run) => measureRest(run),
};

async function measureRest({ short, say }: BenchRun): Promise<Row[]> {
  const cores: number[] = [];
  for (const nodes of [MANY, FEW]) {
    const used = await coresAtRest(nodes, short ? SECONDS / 3 : SECONDS);
    say(`${nodes} nodes: ${used.map((each) => each.toFixed(4)).join(' + ')} cores`);
    cores.push(used.reduce((sum, each) => sum + each, 0));
  }
  const [many = NaN, few = NaN] = cores;
  return [
    {
      what: `database, API and scheduler at rest, ${MANY.toLocaleString('en')} nodes`,
      ours: { value: many, unit: 'cores' },
      against: `with ${FEW.toLocaleString('en')}`,
      base: { value: few, unit: 'cores' },
      ratio: { value: many / few },
    },
  ];
}

/** Of the database, the API, the scheduler. */
async function coresAtRest(nodes: number, seconds: number): Promise<number[]> {
  const lab = createLab();
  try {
    const mariadb = await startMariaDb(lab, { durable: true, args: ['--innodb-buffer-pool-size=512M'] });
    const pids = await startResting(lab, mariadb, nodes);
    await systemClock.sleep(SETTLED_MS);
    const before = pids.map(cpuSecondsOf);
    await systemClock.sleep(seconds * 1000);
    return pids.map((pid, at) => (cpuSecondsOf(pid) - (before[at] ?? NaN)) / seconds);
  } finally {
    await lab.close();
  }
}

async function startResting(lab: Lab, mariadb: MariaDb, nodes: number): Promise<number[]> {
  const { access } = await createFleet(lab, mariadb, nodes);
  await layToRest(lab, access);
  const roles = [
    await startRole(lab, 'api', access),
    await startRole(lab, 'scheduler', access, { env: testConstants({ keepaliveProbes: false }) }),
  ];
  return [mariadb.process().pid, ...roles.map(({ pid }) => pid)];
}

/** All nodes were probed just now and their agents have called. */
async function layToRest(lab: Lab, access: DatabaseAccess): Promise<void> {
  const db: Knex = createDatabase({ ...access, poolSize: 1 });
  lab.push('database', () => db.destroy());
  await db.raw(
    'UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3) + INTERVAL 1 DAY, last_checked_at = UTC_TIMESTAMP(3), logged_in_at = UTC_TIMESTAMP(3)',
  );
  await db.raw(
    'INSERT INTO heartbeats (node_id, last_heartbeat_at, silent_at, load1) SELECT id, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL 1 HOUR, 1 FROM nodes',
  );
  await db.raw('ANALYZE TABLE heartbeats, nodes');
}
