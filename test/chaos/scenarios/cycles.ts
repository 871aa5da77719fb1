import pLimit from 'p-limit';
import { messageOf } from '../../../src/lib/errors';
import { eventually, type WorkerFleet } from '../../lab';
import type { Lease } from '../../../src/contract';
import { untilNodesAreFree } from '../../support/free-nodes';
import { createHistory, type History } from '../../support/history';
import { fastConstants, startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';
import type { Random } from '../random';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';
import { appointJudge } from '../judge';
import type { Violation } from '../../checker/evidence';

interface Size {
  apis: number;
  nodes: number;
  tenants: number;
  /** The tables are judged and begun anew after so many: the checker holds all of them at once. */
  round: number;
  real: boolean;
}

interface Round {
  system: System;
  history: History;
  random: Random;
  size: Size;
  violations: Violation[];
}

/**
 * Health checks are not what this is about: logins cost the very cores that the rents need, and on a busy machine they would declare nodes
 * dead.
 */
const ENV = {
  ...fastConstants({ probeTimeoutSeconds: 20, overdueIntervals: 60, workIntervalSeconds: 0.05, expireIntervalSeconds: 0.1 }),
  ORION_PROBE_INTERVAL_SECONDS: '5',
};

async function runCycles(run: ScenarioRun, size: Size): Promise<Outcome> {
  const outcome: Outcome = { operations: 0, faults: 0, violations: [] };
  const begun = performance.now();
  for (let round = 1; outcome.operations < run.operations && !run.timeIsUp() && outcome.violations.length === 0; round += 1) {
    const count = Math.min(size.round, run.operations - outcome.operations);
    const { done, violations } = await runRound(run, { size, count, random: run.random.fork(String(round)) });
    outcome.operations += done;
    outcome.violations.push(...violations);
    run.say(`${outcome.operations} cycles, ${violations.length} violations`);
  }
  return { ...outcome, figures: { 'cycles per second': outcome.operations / ((performance.now() - begun) / 1000) } };
}

async function runRound(
  run: ScenarioRun,
  { size, count, random }: { size: Size; count: number; random: Random },
): Promise<{ done: number; violations: Violation[] }> {
  const system = await startSystem({
    apis: size.apis,
    schedulers: 2,
    faults: { instantPlays: !size.real },
    env: { ...ENV, ORION_PLAY_CONCURRENCY: size.real ? '2' : '16' },
  });
  try {
    const fleet = await system.launchWorkers(size.nodes);
    await system.untilFree(size.nodes, 120_000);
    const history = createHistory();
    const judge = await appointJudge(system, size.real ? { history, fleet } : { history });
    const tenants = await Promise.all(Array.from({ length: size.tenants }, () => system.tenant()));
    const round: Round = { system, history, random, size, violations: [] };
    const limit = pLimit(size.tenants);
    let done = 0;
    const one = (i: number): Promise<void> =>
      limit(async () => {
        if (!run.timeIsUp() && round.violations.length === 0) {
          await cycle(round, tenants[i % tenants.length] as Tenant, i).catch(async (error: unknown) => {
            const nodes = await system.sql('SELECT id, status, status_reason, dirty, lease_id, wipe_failures FROM nodes').catch(messageOf);
            round.violations.push(broken('cycle', `cycle ${i}`, `${messageOf(error)}; nodes: ${JSON.stringify(nodes)}`));
          });
          done += 1;
        }
      });
    await Promise.all(Array.from({ length: count }, (_, i) => one(i)));
    await untilNodesAreFree(system, { timeoutMs: 120_000 });
    return { done, violations: [...round.violations, ...(await judge.violations()), ...(await leftOvers(fleet, size.real))] };
  } finally {
    await system.close();
  }
}

const SECONDS = 600;
const EXTRA_SECONDS = 60;

/** Rent, use, perhaps repeat or extend, and give back or let expire: which of these, and at which replica, the seed decides. */
async function cycle({ system, history, random, size }: Round, tenant: Tenant, i: number): Promise<void> {
  const at = (): string => random.pick(system.apis).url;
  const expires = !size.real && random.chance(0.02);
  const order = { key: `cycle-${i}`, seconds: expires ? 1 : SECONDS };
  const lease = await eventually(() => tryToRent(history, tenant, { ...order, at: at() }), {
    what: 'a node is to be had',
    timeoutMs: 120_000,
    everyMs: 20,
  });
  if (random.chance(0.1)) {
    const again = await history.rent(tenant, { ...order, at: at() });
    const [same] = again && again.status < 300 ? again.body.leases : [];
    if (same && same.id !== lease.id) {
      throw new Error(`the repeated rent gave lease ${same.id} instead of ${lease.id}`);
    }
  }
  if (size.real) {
    const { code, stdout } = await tenant.login(lease, 'id -un');
    if (code !== 0 || stdout.trim() !== lease.access?.username) {
      throw new Error(`the login to lease ${lease.id} ended with ${code ?? 'a signal'}`);
    }
  }
  if (expires) {
    await tenant.untilLease(lease.id, 'has ended', ({ state }) => state === 'ended', 60_000);
    return;
  }
  if (random.chance(0.1)) {
    await history.extend(tenant, { leaseId: lease.id, seconds: EXTRA_SECONDS, key: `extend-${i}`, at: at() });
  }
  const released = await history.release(tenant, { leaseId: lease.id, at: at() });
  if (released?.status !== 200) {
    throw new Error(`the release of lease ${lease.id} was answered ${released?.status ?? 'with nothing'}`);
  }
}

/** Undefined while nothing is free. */
async function tryToRent(
  history: History,
  tenant: Tenant,
  options: { key: string; seconds: number; at: string },
): Promise<Lease | undefined> {
  const answer = await history.rent(tenant, options);
  if (answer && answer.status < 300) {
    const [lease] = answer.body.leases;
    return lease;
  }
  if (answer?.status !== 503) {
    throw new Error(`the rent was answered ${answer ? `${answer.status}: ${JSON.stringify(answer.body)}` : 'with nothing'}`);
  }
  return undefined;
}

/** Past the product's own eyes: what a root shell on each node sees. */
async function leftOvers(fleet: WorkerFleet, real: boolean): Promise<Violation[]> {
  const looked = real
    ? await Promise.all(
        fleet.workers.map(async (worker) => ({ worker, seen: await worker.exec("grep -o '^orn-[^:]*' /etc/passwd; ls /home; true") })),
      )
    : [];
  return looked
    .filter(({ seen }) => seen.stdout.trim() !== '')
    .map(({ worker, seen }) => broken('nothing is left', worker.name, seen.stdout.trim()));
}

export const cycles: Scenario = {
  name: 'cycles',
  promise: 'rent, repeat, extend, release or expire over several APIs; plays are answered at once in place of Ansible',
  unit: 'cycles',
  operations: { short: 1_500, long: 100_000 },
  run: (run) => runCycles(run, { apis: 3, nodes: 16, tenants: 16, round: 10_000, real: false }),
};

export const cyclesForReal: Scenario = {
  name: 'cycles-real',
  promise: 'the same with real Ansible and sshd, each lease used by a login of its tenant',
  unit: 'cycles',
  operations: { short: 10, long: 2_000 },
  run: (run) => runCycles(run, { apis: 2, nodes: 6, tenants: 4, round: 500, real: true }),
};
