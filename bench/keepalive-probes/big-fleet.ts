import { readFileSync } from 'node:fs';
import { systemClock } from '../../src/lib/clock';
import { eventually } from '../../test/lab';
import { startSystem, type System } from '../../test/support/system';
import type { BenchRun, Row } from '../benchmark';
import { figure } from '../measure';
import { DEFAULT_SETTINGS } from '../settings';
import { type Fleet, startFleet } from './start-fleet';

const NODES = { long: 10_000, short: 1_000 };
const SCHEDULERS = 2;
const INTERVAL_SECONDS = 30;
const DEEP_CHECK_SECONDS = 600;
const WINDOW_SECONDS = { long: 60, short: 15 };
/** Logins are what bounds it; half of it is the machines' own work. */
const OPENING_MS = 900_000;
const TICKS_PER_SECOND = 100;

/** Two schedulers that keep a connection to each node of a big fleet. */
export async function measureFleet({ short, say }: BenchRun): Promise<Row[]> {
  const nodes = short ? NODES.short : NODES.long;
  const seconds = short ? WINDOW_SECONDS.short : WINDOW_SECONDS.long;
  const system = await startSystem({
    apis: 1,
    schedulers: SCHEDULERS,
    ownDatabase: true,
    env: { ...DEFAULT_SETTINGS, ORION_LOG_LEVEL: 'warn' },
  });
  try {
    const pids = system.schedulers.map(({ pid }) => pid);
    const fleets = [await startFleet(system.lab, '127.0.66.1'), await startFleet(system.lab, '127.0.66.2')];
    const memoryBefore = sum(pids.map(residentKb));
    for (const fleet of fleets) {
      await enrol(system, fleet, nodes / fleets.length);
    }
    await eventually(async () => (await gauge(system, 'orion_kept_connections')) >= nodes, {
      what: 'every session is open',
      timeoutMs: OPENING_MS,
      everyMs: 1_000,
    });
    const grownKb = (sum(pids.map(residentKb)) - memoryBefore) / nodes;
    await settleIn(system);
    await systemClock.sleep(INTERVAL_SECONDS * 1000);
    const cpuBefore = sum(pids.map(cpuTicks));
    const startedAt = systemClock.monotonicMs();
    const shares = await watch(system, seconds);
    const cores = (sum(pids.map(cpuTicks)) - cpuBefore) / TICKS_PER_SECOND / ((systemClock.monotonicMs() - startedAt) / 1000);
    const onTime = Math.min(...shares);
    say(`${nodes} nodes: ${(onTime * 100).toFixed(2)} % on time, ${cores.toFixed(3)} cores, ${grownKb.toFixed(1)} KB a connection`);
    const of = `${nodes} nodes, ${SCHEDULERS} schedulers`;
    return [
      {
        what: `nodes checked within the interval, the least at any sample (${of})`,
        ours: figure([onTime * 100], '%'),
        against: 'all of them',
        base: figure([100], '%'),
        ratio: { value: onTime },
        goal: { atLeast: 0.99 },
      },
      {
        what: `CPU of both schedulers (${of})`,
        ours: figure([cores], 'cores'),
        against: 'one core',
        base: figure([1], 'cores'),
        ratio: { value: cores },
        goal: { atMost: 0.25 },
      },
      {
        what: `memory of a pooled session (${of})`,
        ours: figure([grownKb], 'KB'),
        against: '50 KB',
        base: figure([50], 'KB'),
        ratio: { value: grownKb / 50 },
        goal: { atMost: 1 },
      },
    ];
  } finally {
    await system.close();
  }
}

const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);

const residentKb = (pid: number): number => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

function cpuTicks(pid: number): number {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user, kernel] = fields.split(' ').slice(11, 13);
  return Number(user) + Number(kernel);
}

async function gauge(system: System, name: string): Promise<number> {
  const texts = await Promise.all(system.schedulers.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  return sum(texts.map((text) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0)));
}

/** As if they had been probed a moment ago, with much time to the next one: the connections are to be opened in peace. */
async function enrol(system: System, { address, port, hostKey }: Fleet, nodes: number): Promise<void> {
  await system.sql(
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, dirty, labels, facts, next_uid, probe_due_at, last_checked_at, logged_in_at)
     SELECT CONCAT(?, '-', seq), ?, ?, ?, CONCAT(?, '-', seq), 'alive', 0, '{}', '{}', 70000, UTC_TIMESTAMP(3) + INTERVAL 1 HOUR, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL 1 HOUR FROM seq_1_to_${nodes}`,
    [address, address, port, hostKey, address],
  );
}

/** What a day makes of it: all were asked within the interval, and their fresh logins come due one after the other. */
async function settleIn(system: System): Promise<void> {
  const deepSeconds = `${DEEP_CHECK_SECONDS} * (0.5 + (id DIV 64) % 64 / 128)`;
  await system.sql(
    `UPDATE nodes SET last_checked_at = UTC_TIMESTAMP(3), logged_in_at = UTC_TIMESTAMP(3) - INTERVAL RAND() * ${deepSeconds} SECOND,
            probe_due_at = LEAST(UTC_TIMESTAMP(3) + INTERVAL ${INTERVAL_SECONDS} SECOND, logged_in_at + INTERVAL ${deepSeconds} SECOND)`,
  );
}

/** Once a second: which share of the nodes was checked within the interval. */
async function watch(system: System, seconds: number): Promise<number[]> {
  const shares: number[] = [];
  for (let second = 0; second < seconds; second += 1) {
    await systemClock.sleep(1_000);
    const [row] = await system.sql<{ share: string }>(
      `SELECT AVG(last_checked_at >= UTC_TIMESTAMP(3) - INTERVAL ${INTERVAL_SECONDS} SECOND) AS share FROM nodes`,
    );
    shares.push(Number(row?.share));
  }
  return shares;
}
