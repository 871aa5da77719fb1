import { readFileSync } from 'node:fs';
import pLimit from 'p-limit';
import { systemClock } from '../../../src/lib/clock';
import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import type { Worker } from '../../lab';
import type { Lease, Problem, Rented as RentedAnswer } from '../../../src/contract';
import type { Answer } from '../../support/api-client';
import { untilNodesAreFree } from '../../support/free-nodes';
import { createHistory, type History } from '../../support/history';
import { enrolMachine, privateKeyOf } from '../../support/machine';
import { fastConstants, startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';
import type { Random } from '../random';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';
import { appointJudge, type Judge } from '../judge';

const NODES = 50;
const RENTS = 200;
/** Of the mixed rounds, in turn: from a fleet with room for those who have to move to one with none. */
const AT_ONCE = [15, 30, RENTS];
const TENANTS = 20;
const APIS = 3;

const ENV = {
  // The machines have no agents: fifty would be a load of their own, and the probes alone say whether a node is well.
  ...fastConstants({
    managementUser: 'root',
    overdueIntervals: 86_400,
    workIntervalSeconds: 0.05,
    migrateIntervalSeconds: 0.5,
    expireIntervalSeconds: 0.2,
  }),
  ORION_PROBE_INTERVAL_SECONDS: '20',
  ORION_PLAY_CONCURRENCY: '16',
};
/** A wipe that is answered at once waits for a claim and two plays of a runner; 50 of them on a busy machine need seconds, not this. */
const QUIET_MS = 90_000;

interface Crowd {
  system: System;
  history: History;
  judge: Judge;
  tenants: Tenant[];
  random: Random;
  violations: Violation[];
}

interface Rented {
  tenant: Tenant;
  lease: Lease;
}

async function runCrowd(run: ScenarioRun): Promise<Outcome> {
  const system = await startSystem({ apis: APIS, schedulers: 2, faults: { instantPlays: true }, env: ENV });
  try {
    const crowd = await gather(system, run.random);
    const figures = { rounds: 0, leases: 0, 'served per second (worst round)': Infinity };
    let asked = 0;
    for (let round = 1; asked < run.operations && !run.timeIsUp() && crowd.violations.length === 0; round += 1) {
      const count = Math.min(RENTS, run.operations - asked);
      const begun = performance.now();
      const told = (round % 2 === 1 ? await allAtOnce(crowd, count, round) : await allMixed(crowd, count, round)).length;
      const perSecond = count / ((performance.now() - begun) / 1000);
      asked += count;
      Object.assign(figures, {
        rounds: round,
        leases: figures.leases + told,
        'served per second (worst round)': Math.min(figures['served per second (worst round)'], perSecond),
      });
      await clear(crowd).catch((error: unknown) =>
        crowd.violations.push(broken('everything is free again', `round ${round}`, messageOf(error))),
      );
      crowd.violations.push(...(await crowd.judge.violations()));
      run.say(
        `round ${round}, ${round % 2 === 1 ? 'rents alone' : 'mixed'}: ${count} rents, ${told} leases, ${crowd.violations.length} violations`,
      );
    }
    const [moves] = await system.sql<{ n: number }>("SELECT COUNT(*) AS n FROM events WHERE type = 'lease.moved'");
    return { operations: asked, faults: 0, figures: { ...figures, migrations: Number(moves?.n) }, violations: crowd.violations };
  } finally {
    await system.close();
  }
}

async function gather(system: System, random: Random): Promise<Crowd> {
  const { workers } = await system.launchWorkers(NODES, { agent: false });
  const key = readFileSync(`${system.env['ORION_SSH_KEY_FILE'] ?? ''}.pub`, 'utf8').trim();
  for (const worker of workers) {
    await worker.authorizeRoot(key);
    await enrol(system, worker);
  }
  const tenants = await Promise.all(Array.from({ length: TENANTS }, () => system.tenant()));
  await system.untilFree(NODES, QUIET_MS);
  const history = createHistory();
  return { system, history, judge: await appointJudge(system, { history }), tenants, random, violations: [] };
}

async function enrol(system: System, worker: Worker): Promise<void> {
  const { name, address, port, hostKey } = worker;
  await enrolMachine(system, { hostname: name, address, ssh_port: port, host_key: hostKey }, await privateKeyOf(worker));
}

const rentedOf = (tenant: Tenant, answer: Answer<RentedAnswer> | undefined): Rented[] =>
  answer && answer.status < 300 ? answer.body.leases.map((lease) => ({ tenant, lease })) : [];

/** "None is free" is the only refusal that this crowd may hear. */
function judgeAnswer({ violations }: Crowd, where: string, answer: Answer<unknown> | undefined): void {
  const code = (answer?.body as Partial<Problem> | undefined)?.code;
  if (!answer || (answer.status >= 300 && !(answer.status === 503 && code === 'no_node_free'))) {
    violations.push(
      broken('everybody is told clearly', where, answer ? `answered ${answer.status}: ${JSON.stringify(answer.body)}` : 'not answered'),
    );
  }
}

/** Every free node is leased, each once, and all others are told that none is free. */
async function allAtOnce(crowd: Crowd, count: number, round: number): Promise<Rented[]> {
  const { history, random, system, tenants, violations } = crowd;
  const where = `round ${round}`;
  const rents = Array.from({ length: count }, (_, i) => ({
    tenant: tenants[i % TENANTS] as Tenant,
    options: { key: `${round}-${i}`, at: random.pick(system.apis).url },
  }));
  const answers = await Promise.all(rents.map(async ({ tenant, options }) => ({ tenant, answer: await history.rent(tenant, options) })));
  answers.forEach(({ answer }) => judgeAnswer(crowd, where, answer));
  const rented = answers.flatMap(({ tenant, answer }) => rentedOf(tenant, answer));
  const nodes = new Set(rented.map(({ lease }) => lease.node?.id));
  const wanted = Math.min(NODES, count);
  if (rented.length !== wanted || nodes.size !== wanted) {
    violations.push(
      broken(
        'as many leases as free nodes',
        where,
        `${count} rents for ${NODES} free nodes gave ${rented.length} leases on ${nodes.size} nodes`,
      ),
    );
  }
  return rented;
}

/** Rents of one to three nodes, repetitions, extensions, releases, drains that move whoever is there: all at once. */
async function allMixed(crowd: Crowd, count: number, round: number): Promise<Rented[]> {
  const random = crowd.random.fork(`round-${round}`);
  let over = false;
  const operator = drainAndUndrain(crowd, random.fork('operator'), () => over);
  const limit = pLimit(AT_ONCE[(round / 2 - 1) % AT_ONCE.length] ?? RENTS);
  const life = (i: number): Promise<Rented[]> =>
    rentAndRelease(crowd, random.fork(String(i)), { tenant: crowd.tenants[i % TENANTS] as Tenant, name: `${round}-${i}` });
  const lives = Array.from({ length: count }, (_, i) => limit(() => life(i)));
  const rented = (await Promise.all(lives)).flat();
  over = true;
  await operator;
  return rented;
}

async function rentAndRelease(crowd: Crowd, random: Random, { tenant, name }: { tenant: Tenant; name: string }): Promise<Rented[]> {
  const { history, system } = crowd;
  const at = (): string => random.pick(system.apis).url;
  await systemClock.sleep(random.between(0, 300));
  const order = { key: name, count: random.pick([1, 1, 1, 2, 3]), seconds: random.chance(0.05) ? 1 : 600 };
  const answers = await Promise.all([
    history.rent(tenant, { ...order, at: at() }),
    ...(random.chance(0.1) ? [history.rent(tenant, { ...order, at: at() })] : []),
  ]);
  answers.forEach((answer) => judgeAnswer(crowd, `rent ${name}`, answer));
  const rented = rentedOf(
    tenant,
    answers.find((answer) => answer && answer.status < 300),
  );
  for (const { lease } of rented) {
    await systemClock.sleep(random.between(0, 500));
    if (order.seconds > 1 && random.chance(0.2)) {
      judgeAnswer(crowd, `extend ${name}`, await history.extend(tenant, { leaseId: lease.id, seconds: 60, key: name, at: at() }));
    }
    if (random.chance(0.9)) {
      judgeAnswer(crowd, `release ${name}`, await history.release(tenant, { leaseId: lease.id, at: at() }));
    }
  }
  return rented;
}

/** A tenth of the fleet is on its way out at any moment, with whoever is on it. */
async function drainAndUndrain(crowd: Crowd, random: Random, over: () => boolean): Promise<void> {
  const { system } = crowd;
  const ids = (await system.sql<{ id: number }>('SELECT id FROM nodes ORDER BY id')).map(({ id }) => id);
  const drained: number[] = [];
  while (!over() || drained.length > 0) {
    if (!over()) {
      const id = random.pick(ids.filter((each) => !drained.includes(each)));
      judgeAnswer(
        crowd,
        `drain of node ${id}`,
        await system.admin.at(random.pick(system.apis).url).post(`/api/nodes/${id}/drain`, { move: true }),
      );
      drained.push(id);
    }
    while (drained.length > (over() ? 0 : NODES / 10)) {
      const id = drained.shift() ?? 0;
      judgeAnswer(crowd, `undrain of node ${id}`, await system.admin.at(random.pick(system.apis).url).post(`/api/nodes/${id}/undrain`, {}));
    }
    await systemClock.sleep(20);
  }
}

/** Everything is given back, and every node is free again. */
async function clear(crowd: Crowd): Promise<void> {
  const { system, history, tenants } = crowd;
  const running = await system.sql<{ id: number; user: number }>(
    "SELECT id, user_id AS user FROM leases WHERE state IN ('provisioning','active','migrating')",
  );
  const release = async ({ id, user }: { id: number; user: number }): Promise<void> =>
    judgeAnswer(
      crowd,
      `release of lease ${id}`,
      await history.release(tenants.find(({ userId }) => userId === user) as Tenant, { leaseId: id }),
    );
  await Promise.all(running.map(release));
  await untilNodesAreFree(system, { timeoutMs: QUIET_MS });
}

export const crowd: Scenario = {
  name: 'crowd',
  promise:
    '200 rents at once over 3 APIs take each of 50 nodes once, the others are told 503; the same mixed with releases, extensions and migrations',
  unit: 'rents',
  operations: { short: 600, long: 20_000 },
  run: runCrowd,
};
