import { systemClock } from '../../../src/lib/clock';
import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import { eventually, giveClock, machineClockEnv, type OrionProcess, skewed, testConstants, type Worker } from '../../lab';
import type { Lease, LeaseDetail, Rented } from '../../../src/contract';
import { type Answer, createApiClient, expectStatus } from '../../support/api-client';
import { startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';
import { measureLateness } from '../rogue/late';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';

const SKEW_SECONDS = 600;
/** A round of expiry (0.5 s, jittered), and as long as a claim may be held (5 s) by somebody who is slow. */
const EXPIRED_WITHIN_SECONDS = 6;
const PATIENCE_MS = 300_000;
const FENCE_GRACE_SECONDS = 3;
/** The agent looks every 0.75 s; killing and locking take processes of their own. */
const FENCED_WITHIN_SECONDS = FENCE_GRACE_SECONDS + 10;
const LANES = 4;

export const clocks: Scenario = {
  name: 'clocks',
  promise:
    'replicas and agents whose clocks are ten minutes ahead and behind: no lease ends before its end or late, extends add exactly, one key is one lease, tokens of one are good at the others',
  unit: 'leases',
  operations: { short: 6, long: 60 },
  run: async (run) => {
    const system = await startSystem({ apis: 1, schedulers: 0 });
    try {
      return await withSkew(system, run);
    } finally {
      await system.close();
    }
  },
};

/** What the replica itself says of the time, against this process. */
async function skewOf({ url }: OrionProcess): Promise<number> {
  const { headers } = await fetch(`${url}/readyz`);
  return (Date.parse(headers.get('date') ?? '') - systemClock.now().getTime()) / 1000;
}

interface Judged {
  violations: Violation[];
  /** Seconds after its end. */
  expired: number;
  wiped: number;
}

async function withSkew(system: System, run: ScenarioRun): Promise<Outcome> {
  const replicas: OrionProcess[] = [...system.apis];
  const violations: Violation[] = [];
  for (const seconds of [SKEW_SECONDS, -SKEW_SECONDS]) {
    const api = await system.startApi({ env: skewed(seconds) });
    if (Math.abs((await skewOf(api)) - seconds) > 60) {
      throw new Error(`the clock of a replica is off by ${await skewOf(api)} s instead of ${seconds}`);
    }
    replicas.push(api);
    await system.startScheduler(skewed(seconds));
  }
  const workers = new Map<string, Worker>();
  for (const [name, seconds] of [
    ['ahead', SKEW_SECONDS],
    ['behind', -SKEW_SECONDS],
  ] as const) {
    for (const n of [1, 2]) {
      const agentEnv = { ...machineClockEnv(), ...testConstants({ fenceGraceSeconds: FENCE_GRACE_SECONDS }), MY_HOSTNAME: `${name}-${n}` };
      const { workers: launched } = await system.launchWorkers(1, { labels: { clock: name }, agentEnv });
      for (const worker of launched) {
        await (await giveClock(worker)).set(seconds);
        workers.set(`${name}-${n}`, worker);
      }
    }
  }
  await system.untilFree(workers.size, PATIENCE_MS);
  violations.push(...(await checkTokens(replicas)));

  const lateness = measureLateness();
  const judged: Judged[] = [];
  let taken = 0;
  const lane = async (tenant: Tenant): Promise<void> => {
    while (taken < run.operations && !run.timeIsUp()) {
      taken += 1;
      const number = taken;
      try {
        judged.push(await oneLease({ system, replicas, tenant, run, number, late: () => lateness.worstSeconds() }));
      } catch (error) {
        violations.push(broken('clocks', `lease ${number}`, `could not be carried out: ${messageOf(error)}`));
      }
      run.say(
        `${judged.length} leases, expired ${worst(judged.map(({ expired }) => expired)).toFixed(1)} s after their ends at the latest`,
      );
    }
  };
  const tenants = await Promise.all(Array.from({ length: LANES }, () => system.tenant()));
  await Promise.all(tenants.map(lane));
  await lateness.stop();
  await system.untilFree(workers.size, PATIENCE_MS);
  const fenced = await fenceRound(system, tenants[0] as Tenant, workers);
  violations.push(...judged.flatMap((each) => each.violations), ...fenced.violations, ...(await system.violations()));
  return {
    operations: judged.length,
    faults: replicas.length - 1 + 2 + workers.size,
    figures: {
      'expired after the end, s (worst)': worst(judged.map(({ expired }) => expired)),
      'wiped after the end, s (worst)': worst(judged.map(({ wiped }) => wiped)),
      'ended by its own node after the end, s (worst)': fenced.seconds,
      'this process late, s': lateness.worstSeconds(),
    },
    violations,
  };
}

const worst = (values: number[]): number => Math.max(0, ...values);

/** A token of each replica at each other. */
async function checkTokens(replicas: OrionProcess[]): Promise<Violation[]> {
  const credentials = { username: 'clockwork', password: 'a password of a tenant' };
  expectStatus(await createApiClient(replicas[0]?.url ?? '').post('/api/signup', credentials), 201);
  const found: Violation[] = [];
  for (const maker of replicas) {
    const { token } = expectStatus(await createApiClient(maker.url).post<{ token: string }>('/api/login', credentials), 200);
    for (const reader of replicas) {
      const { status } = await createApiClient(reader.url, token).get('/api/leases');
      if (status !== 200) {
        found.push(
          broken(
            'clocks',
            'tokens',
            `one made at ${(await skewOf(maker)).toFixed(0)} s is answered ${status} at ${(await skewOf(reader)).toFixed(0)} s`,
          ),
        );
      }
    }
  }
  return found;
}

interface OneLease {
  system: System;
  replicas: OrionProcess[];
  tenant: Tenant;
  run: ScenarioRun;
  number: number;
  late: () => number;
}

/** Rented at two replicas at once with one key, sometimes extended at two more, left to expire. */
async function oneLease({ system, replicas, tenant, run, number, late }: OneLease): Promise<Judged> {
  const random = run.random.fork(`lease ${number}`);
  const [first, second, third] = random.shuffle(replicas).map(({ url }) => url) as [string, string, string];
  const where = `lease ${number}`;
  const seconds = random.between(6, 12);
  const key = `clocks-${number}`;
  const rent = (at: string): Promise<Rented> => whenFree(() => tenant.rent({ seconds, key, at }));
  const [here, there] = await Promise.all([rent(first), rent(second)]);
  const lease = here.leases[0];
  const violations: Violation[] = [];
  if (!lease || there.leases[0]?.id !== lease.id || there.leases[0].ends_at !== lease.ends_at) {
    return {
      violations: [broken('I3', where, `one key at two replicas: ${JSON.stringify(here.leases)} and ${JSON.stringify(there.leases)}`)],
      expired: 0,
      wiped: 0,
    };
  }
  if (random.chance(0.5)) {
    violations.push(...(await extendTwice(system, tenant, { lease, at: [third, first], seconds: random.between(2, 5), key })));
  }
  violations.push(...(await watchSession(system, tenant, lease)));
  const over = await tenant.untilLease(lease.id, 'is over', ({ state }) => state === 'ended' || state === 'failed', PATIENCE_MS);
  const times = await timesOf(system, lease.id);
  if (over.state === 'failed' || times.expired === null) {
    return {
      violations: [...violations, broken('clocks', where, `is ${over.state} (${over.end_reason ?? ''}) instead of having expired`)],
      expired: 0,
      wiped: 0,
    };
  }
  if (times.expired < 0 || times.expired > EXPIRED_WITHIN_SECONDS + late()) {
    violations.push(
      broken('I4', where, `expired ${times.expired.toFixed(3)} s after its end (this process was ${late().toFixed(1)} s late)`),
    );
  }
  return { violations, expired: times.expired, wiped: times.wiped };
}

/** 503 says that no node is free, and asks to come again. */
async function whenFree(ask: () => Promise<Answer<Rented>>): Promise<Rented> {
  return eventually(async () => expectStatus(await ask(), 200, 201, 202), { what: 'a node is free', timeoutMs: PATIENCE_MS, everyMs: 500 });
}

/** Twice with one key: it adds once, and exactly. */
async function extendTwice(
  system: System,
  tenant: Tenant,
  { lease, at, seconds, key }: { lease: Lease; at: string[]; seconds: number; key: string },
): Promise<Violation[]> {
  const before = Date.parse(lease.ends_at);
  const answers = [];
  for (const url of at) {
    answers.push(
      await tenant.client
        .at(url)
        .post<Lease>('/api/extend', { lease_id: lease.id, duration_minutes: seconds / 60 }, { 'Idempotency-Key': `${key}-extend` }),
    );
  }
  const [row] = await system.sql<{ is_over: number }>('SELECT ends_at <= UTC_TIMESTAMP(3) AS is_over FROM leases WHERE id = ?', [lease.id]);
  const wrong = answers.filter(({ status, body }) =>
    status === 200 ? Date.parse(body.ends_at) !== before + seconds * 1000 : row?.is_over !== 1,
  );
  return wrong.map(({ status, body }) =>
    broken('I4', `lease ${lease.id}`, `extended by ${seconds} s from ${lease.ends_at}: ${status} ${JSON.stringify(body)}`),
  );
}

/** A session of the tenant's lives until the end, if the account was there in time. */
async function watchSession(system: System, tenant: Tenant, lease: Lease): Promise<Violation[]> {
  let now: LeaseDetail = await tenant.lease(lease.id);
  while (now.state === 'provisioning') {
    await systemClock.sleep(100);
    now = await tenant.lease(lease.id);
  }
  if (now.state !== 'active') {
    return [];
  }
  const session = await tenant.openSession(now);
  try {
    await eventually(() => !session.isOpen(), { what: `the session of lease ${lease.id} has ended`, timeoutMs: PATIENCE_MS, everyMs: 20 });
    const [row] = await system.sql<{ early: string }>(
      'SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), ends_at) / 1000000 AS early FROM leases WHERE id = ?',
      [lease.id],
    );
    const early = Number(row?.early);
    return early > 0 ? [broken('I7', `lease ${lease.id}`, `its session ended ${early.toFixed(3)} s before its end`)] : [];
  } finally {
    session.close();
  }
}

/** By the database's clock, seconds after the end of the lease; null: it did not expire. */
async function timesOf(system: System, leaseId: number): Promise<{ expired: number | null; wiped: number }> {
  const [row] = await system.sql<{ expired: string | null; wiped: string }>(
    `SELECT (SELECT TIMESTAMPDIFF(MICROSECOND, l.ends_at, MIN(at)) / 1000000 FROM events WHERE lease_id = l.id AND type IN ('lease.ending','lease.ended') AND JSON_VALUE(data, '$.reason') = 'expired') AS expired,
            (SELECT TIMESTAMPDIFF(MICROSECOND, l.ends_at, MAX(wiped_at)) / 1000000 FROM placements WHERE lease_id = l.id) AS wiped
       FROM leases l WHERE id = ?`,
    [leaseId],
  );
  return { expired: row?.expired == null ? null : Number(row.expired), wiped: Number(row?.wiped) };
}

/** The control plane goes away for good: each node ends its account by itself, by its own wrong clock, and not before the end. */
async function fenceRound(
  system: System,
  tenant: Tenant,
  workers: Map<string, Worker>,
): Promise<{ violations: Violation[]; seconds: number }> {
  const seconds = 25;
  const leases = await Promise.all(
    ['ahead', 'behind'].map((clock) => tenant.rentOne({ seconds, requirements: { labels: { 'node/clock': clock } } })),
  );
  await eventually(() => knowTheirEnds(system, leases), { what: 'the agents have heard of their leases', timeoutMs: 20_000, everyMs: 100 });
  const port = Number(new URL(system.admin.url).port);
  await Promise.all([...system.schedulers, ...system.apis].map((replica) => replica.kill9()));
  const fenced = await Promise.all(leases.map((lease) => untilFenced(system, lease, workers)));
  await system.startApi({ port });
  await system.startScheduler();
  await system.untilFree(workers.size, PATIENCE_MS);
  const violations = fenced.flatMap(({ lease, after }) =>
    after < 0 || after > FENCED_WITHIN_SECONDS
      ? [
          broken(
            'I7',
            `lease ${lease.id} on ${lease.node?.hostname ?? 'no node'}`,
            `was ended by its node ${after.toFixed(1)} s after its end`,
          ),
        ]
      : [],
  );
  return { violations, seconds: worst(fenced.map(({ after }) => after)) };
}

/** A heartbeat that was answered after the lease had begun. */
async function knowTheirEnds(system: System, leases: Lease[]): Promise<boolean> {
  const rows = await system.sql<{ n: number }>(
    `SELECT 1 AS n FROM leases l JOIN nodes n ON n.lease_id = l.id JOIN heartbeats h ON h.node_id = n.id WHERE l.id IN (${leases.map(() => '?').join(',')}) AND h.last_heartbeat_at > l.activated_at + INTERVAL 1 SECOND`,
    leases.map(({ id }) => id),
  );
  return rows.length === leases.length;
}

async function untilFenced(system: System, lease: Lease, workers: Map<string, Worker>): Promise<{ lease: Lease; after: number }> {
  const worker = workers.get(lease.node?.hostname ?? '');
  const record = `/var/lib/orion/accounts/${lease.access?.username ?? ''}.json`;
  const isEnded = async (): Promise<boolean> => (await worker?.exec(`grep -q '"ended": *true' ${record}`))?.code === 0;
  await eventually(isEnded, {
    what: `${lease.node?.hostname ?? ''} has ended the account of lease ${lease.id}`,
    timeoutMs: 90_000,
    everyMs: 200,
  });
  const [row] = await system.sql<{ late_by: string }>(
    'SELECT TIMESTAMPDIFF(MICROSECOND, ends_at, UTC_TIMESTAMP(3)) / 1000000 AS late_by FROM leases WHERE id = ?',
    [lease.id],
  );
  return { lease, after: Number(row?.late_by) };
}
