import { readFileSync } from 'node:fs';
import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/connection';
import { selectFirst, selectRows } from '../../src/db/sql';
import { systemClock } from '../../src/lib/clock';
import { eventually } from '../../test/lab';
import { beginSeconds, type SimulatedFleet, startFleet } from '../../test/load/fleet';
import { countOf, type Histogram, quantileOf, sum } from '../../test/load/histogram';
import type { SimulatorFigures } from '../../test/load/simulator';
import { expectStatus } from '../../test/support/api-client';
import { startSystem, type System } from '../../test/support/system';
import type { Tenant } from '../../test/support/tenant';
import { DEFAULT_SETTINGS } from '../settings';
import { rentAtRate, type RentFigures } from './rents';
import { type Usage, usageOf } from './usage';

export interface LoadOptions {
  nodes: number;
  seconds: number;
  apis: number;
  schedulers: number;
  rentsPerSecond: number;
  /** The agents enrol with a join token; otherwise the nodes are written into the database. */
  register: boolean;
  say: (line: string) => void;
}

/** What was seen in the time that counts. Times in milliseconds unless they are named otherwise. */
export interface LoadReport {
  nodes: number;
  /** How many nodes there are by status, at the end. */
  statuses: Record<string, number>;
  /** Until all had registered; 0 when they did not. */
  registeredPerSecond: number;
  heartbeats: {
    perSecond: number;
    failures: number;
    intervalSeconds: number;
    p50: number;
    p99: number;
    firstHalfP99: number;
    secondHalfP99: number;
    simulatorLateP99: number;
    overdueNodes: number;
  };
  /** As the nodes see it: between two signs of life of the control plane over SSH. */
  probes: {
    perSecond: number;
    silenceP50Seconds: number;
    silenceP99Seconds: number;
    longestSilenceSeconds: number;
    onTimeShare: number;
    loginsPerSecond: number;
    connections: number;
  };
  rents: { perSecond: number; failed: number; p50: number; p99: number };
  rowsRead: { perSecond: number; perOperation: number };
  roles: Record<string, { processes: number; cores: number; residentMb: number }>;
}

const PROBE_INTERVAL_SECONDS = 30;
/** A probe is on time when its node has waited no longer than the interval and a tenth. */
const ON_TIME_MS = PROBE_INTERVAL_SECONDS * 1.1 * 1000;
const TENANTS = 8;
const SETTLE_SECONDS = 5;

const ENV = {
  ...DEFAULT_SETTINGS,
  ORION_PROBE_INTERVAL_SECONDS: String(PROBE_INTERVAL_SECONDS),
  ORION_ADDRESS_LIMIT_FACTOR: '100000',
  LOG_LEVEL: 'warn',
};

/** A control plane of its own with default rhythms, and so many simulated nodes; everything is ended when this settles. */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const system = await startSystem({
    apis: options.apis,
    schedulers: 0,
    env: ENV,
    faults: { instantPlays: true },
    ownDatabase: { args: ['--innodb-buffer-pool-size=512M', '--innodb-log-file-size=256M'] },
  });
  const db = createDatabase({ ...system.access, poolSize: 4 });
  system.lab.push('load database', () => db.destroy());
  try {
    const tenants = options.rentsPerSecond > 0 ? await Promise.all(Array.from({ length: TENANTS }, () => system.tenant())) : [];
    const beganAt = systemClock.monotonicMs();
    const fleet = await start(system, db, options);
    const registeredPerSecond = options.register ? await untilRegistered(fleet, options, beganAt) : 0;
    await Promise.all(Array.from({ length: options.schedulers }, () => system.startScheduler()));
    options.say(`${options.nodes} nodes are there`);
    await warmUp(db, options);
    return { ...(await measure({ system, db, fleet, tenants }, options)), registeredPerSecond };
  } finally {
    await system.close();
  }
}

async function start(system: System, db: Knex, { nodes, register, apis }: LoadOptions): Promise<SimulatedFleet> {
  const publicKey = readFileSync(`${system.env['ORION_SSH_KEY_FILE'] ?? ''}.pub`, 'utf8').trim();
  const common = { count: nodes, apis: apis > 0 ? system.apis.map(({ url }) => url) : [], managementKeys: [publicKey] };
  if (!register) {
    return startFleet(system.lab, { ...common, seed: { db, probeIntervalSeconds: PROBE_INTERVAL_SECONDS } });
  }
  const answer = await system.admin.post<{ token: string }>('/api/tokens', { name: 'load', max_uses: nodes, ttl_hours: 1 });
  return startFleet(system.lab, { ...common, joinToken: expectStatus(answer, 201).token });
}

const REGISTER_MS = 600_000;

async function untilRegistered(fleet: SimulatedFleet, { nodes, say }: LoadOptions, beganAt: number): Promise<number> {
  const registered = (): number => fleet.figures().reduce((so, { agents }) => so + (agents?.registered ?? 0), 0);
  await eventually(() => registered() >= nodes, { what: 'all nodes have registered', timeoutMs: REGISTER_MS, everyMs: 500 });
  const perSecond = (nodes * 1000) / (systemClock.monotonicMs() - beganAt);
  say(`all have registered, ${perSecond.toFixed(0)}/s`);
  return perSecond;
}

/** Until what the beginning caused is over: nodes that registered are verified and wiped, agents have called for the first time. */
async function warmUp(db: Knex, { nodes, register, schedulers, say }: LoadOptions): Promise<void> {
  const free = async (): Promise<boolean> =>
    ((await selectFirst<{ n: number }>(db, 'SELECT COUNT(*) AS n FROM nodes WHERE leasable = 1'))?.n ?? 0) >= nodes * 0.99;
  if (register && schedulers > 0) {
    await eventually(free, { what: 'the nodes are verified, wiped and free', timeoutMs: REGISTER_MS, everyMs: 500 });
    say('all are verified, wiped and free');
  }
  await systemClock.sleep((beginSeconds(nodes) + SETTLE_SECONDS) * 1000);
}

interface Scene {
  system: System;
  db: Knex;
  fleet: SimulatedFleet;
  tenants: readonly Tenant[];
}

interface Look {
  atMs: number;
  figures: SimulatorFigures[];
  rowsRead: number;
  usage: Map<number, Usage>;
}

async function measure(
  scene: Scene,
  { nodes, seconds, rentsPerSecond, say }: LoadOptions,
): Promise<Omit<LoadReport, 'registeredPerSecond'>> {
  const over = new AbortController();
  const renting = rentsPerSecond > 0 ? rentAtRate(scene.tenants, rentsPerSecond, over.signal) : undefined;
  const before = await look(scene);
  await systemClock.sleep(seconds * 500);
  const middle = await look(scene);
  await systemClock.sleep(seconds * 500);
  const after = await look(scene);
  over.abort();
  const rents = await renting;
  say(`measured for ${seconds} s`);
  const took = (after.atMs - before.atMs) / 1000;
  const heartbeats = heartbeatsOf({ before, middle, after });
  const probes = probesOf(before, after);
  const operations = heartbeats.perSecond + probes.perSecond + (rents?.rented ?? 0) / took;
  const rowsPerSecond = (after.rowsRead - before.rowsRead) / took;
  return {
    nodes,
    statuses: await countStatuses(scene.db),
    heartbeats,
    probes,
    rents: rentsOf(rents, took),
    rowsRead: { perSecond: rowsPerSecond, perOperation: rowsPerSecond / operations },
    roles: rolesOf(scene, before, after),
  };
}

async function look({ system, db, fleet }: Scene): Promise<Look> {
  const counters = await selectRows<{ Value: string }>(db, "SHOW GLOBAL STATUS LIKE 'Handler_read%'");
  return {
    atMs: systemClock.monotonicMs(),
    figures: fleet.figures(),
    rowsRead: counters.reduce((so, { Value }) => so + Number(Value), 0),
    usage: new Map(
      Object.values(pidsOf({ system, fleet }))
        .flat()
        .map((pid) => [pid, usageOf(pid)]),
    ),
  };
}

const pidsOf = ({ system, fleet }: Pick<Scene, 'system' | 'fleet'>): Record<string, number[]> => ({
  api: system.apis.map(({ pid }) => pid),
  scheduler: system.schedulers.map(({ pid }) => pid),
  mariadb: system.mariadb ? [system.mariadb.process().pid] : [],
  simulator: fleet.pids,
});

function rolesOf(scene: Scene, before: Look, after: Look): LoadReport['roles'] {
  const seconds = (after.atMs - before.atMs) / 1000;
  const cpu = (pid: number): number => (after.usage.get(pid)?.cpuSeconds ?? 0) - (before.usage.get(pid)?.cpuSeconds ?? 0);
  return Object.fromEntries(
    Object.entries(pidsOf(scene)).map(([role, pids]) => [
      role,
      {
        processes: pids.length,
        cores: pids.reduce((so, pid) => so + cpu(pid), 0) / seconds,
        residentMb: Math.max(0, ...pids.map((pid) => after.usage.get(pid)?.residentMb ?? 0)),
      },
    ]),
  );
}

const agentsOf = ({ figures }: Look): NonNullable<SimulatorFigures['agents']>[] => figures.flatMap(({ agents }) => agents ?? []);
const total = (values: readonly number[]): number => values.reduce((so, value) => so + value, 0);

function heartbeatsOf({ before, middle, after }: Record<'before' | 'middle' | 'after', Look>): LoadReport['heartbeats'] {
  const seconds = (after.atMs - before.atMs) / 1000;
  const grown = (of: 'heartbeats' | 'failures'): number =>
    total(agentsOf(after).map((each) => each[of])) - total(agentsOf(before).map((each) => each[of]));
  const between = (of: 'answers' | 'late', from: Look, to: Look): Histogram =>
    sum(
      agentsOf(to).map((each) => each[of]),
      agentsOf(from).map((each) => each[of]),
    );
  return {
    perSecond: grown('heartbeats') / seconds,
    failures: grown('failures'),
    intervalSeconds: Math.max(0, ...agentsOf(after).map(({ intervalSeconds }) => intervalSeconds)),
    p50: quantileOf(between('answers', before, after), 0.5),
    p99: quantileOf(between('answers', before, after), 0.99),
    firstHalfP99: quantileOf(between('answers', before, middle), 0.99),
    secondHalfP99: quantileOf(between('answers', middle, after), 0.99),
    simulatorLateP99: quantileOf(between('late', before, after), 0.99),
    overdueNodes: total(agentsOf(after).map(({ overdue }) => overdue)),
  };
}

function probesOf(before: Look, after: Look): LoadReport['probes'] {
  const seconds = (after.atMs - before.atMs) / 1000;
  const silences = sum(
    after.figures.map((each) => each.silences),
    before.figures.map((each) => each.silences),
  );
  const logins = ({ figures }: Look): number => total(figures.map(({ ssh }) => ssh.logins));
  return {
    perSecond: countOf(silences) / seconds,
    silenceP50Seconds: quantileOf(silences, 0.5) / 1000,
    silenceP99Seconds: quantileOf(silences, 0.99) / 1000,
    longestSilenceSeconds: Math.max(...after.figures.map(({ longestSilenceMs }) => longestSilenceMs)) / 1000,
    onTimeShare: countOf(silences) === 0 ? NaN : shareBelow(silences),
    loginsPerSecond: (logins(after) - logins(before)) / seconds,
    connections: total(after.figures.map(({ ssh }) => ssh.connections)),
  };
}

/** Of the silences, those that ended on time. */
function shareBelow(silences: Histogram): number {
  const steps = Array.from({ length: 1000 }, (_, nth) => (nth + 1) / 1000);
  return steps.findLast((share) => quantileOf(silences, share) <= ON_TIME_MS) ?? 0;
}

const rentsOf = (rents: RentFigures | undefined, seconds: number): LoadReport['rents'] => ({
  perSecond: (rents?.rented ?? 0) / seconds,
  failed: rents?.failed ?? 0,
  p50: rents ? quantileOf(rents.answers, 0.5) : NaN,
  p99: rents ? quantileOf(rents.answers, 0.99) : NaN,
});

async function countStatuses(db: Knex): Promise<Record<string, number>> {
  const counts = await selectRows<{ status: string; n: number }>(db, 'SELECT status, COUNT(*) AS n FROM nodes GROUP BY status');
  return Object.fromEntries(counts.map(({ status, n }) => [status, n]));
}
