import { systemClock } from '../../../src/lib/clock';
import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import { eventually } from '../../lab';
import type { Problem } from '../../../src/contract';
import { untilNodesAreFree } from '../../support/free-nodes';
import { createHistory, type History } from '../../support/history';
import { fastConstants, startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';
import type { Random } from '../random';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';
import { appointJudge } from '../judge';

const NODES = 8;
const TENANTS = 6;

/**
 * Rents, holds for a while, sometimes extends, releases. What got no certain answer is asked again with the same key, as every client is
 * told to.
 */
async function live(
  { system, history, over }: { system: System; history: History; over: () => boolean },
  tenant: Tenant,
  random: Random,
): Promise<void> {
  const at = (): string => random.pick(system.apis).url;
  let held: number[] = [];
  let key = 1;
  while (!over()) {
    const answer = await history.rent(tenant, { key: `rent-${tenant.userId}-${key}`, at: at() });
    const lease = answer && answer.status < 300 ? answer.body.leases[0] : undefined;
    await systemClock.sleep(random.between(20, 300));
    if (lease && random.chance(0.5)) {
      await history.extend(tenant, { leaseId: lease.id, seconds: 30, key: `extend-${key}`, at: at() });
    }
    held.push(...(lease ? [lease.id] : []));
    // A rent that failed for certain stands for its key for ever: the next one is a new rent.
    key += lease || (answer?.body as Partial<Problem> | undefined)?.code === 'provisioning_failed' ? 1 : 0;
    // Some leases are held for a while, so that kills find them there.
    if (held.length > 1 || random.chance(0.7)) {
      const released = await Promise.all(
        held.map(async (id) => ({ id, status: (await history.release(tenant, { leaseId: id, at: at() }))?.status })),
      );
      held = released.filter(({ status }) => status !== 200).map(({ id }) => id);
    }
  }
}

async function killAndRestart({ system, random, history }: { system: System; random: Random; history: History }): Promise<void> {
  await systemClock.sleep(random.between(300, 2_000));
  await system.mariadb?.kill9();
  await systemClock.sleep(random.pick([0, 500, 3_000]));
  await system.mariadb?.restart();
  const ready = async (): Promise<boolean> =>
    (await Promise.all([...system.apis, ...system.schedulers].map(async ({ url }) => (await fetch(`${url}/readyz`)).ok))).every(Boolean);
  await eventually(ready, { what: 'every replica is ready again', timeoutMs: 30_000, everyMs: 100 });
  const acknowledged = history.operations.length;
  await eventually(() => history.operations.slice(acknowledged).some(({ outcome }) => outcome === 'ok'), {
    what: 'a request is served again',
    timeoutMs: 30_000,
    everyMs: 50,
  });
}

/** What is still held at the end, and what nobody was told of. */
async function giveBack(system: System, tenants: Tenant[]): Promise<void> {
  for (const { id, user } of await system.sql<{ id: number; user: number }>(
    "SELECT id, user_id AS user FROM leases WHERE state IN ('provisioning','active','migrating')",
  )) {
    const owner = tenants.find(({ userId }) => userId === user);
    await eventually(async () => (await owner?.client.post('/api/release', { lease_id: id }))?.status === 200, {
      what: `lease ${id} is given back`,
      timeoutMs: 20_000,
    });
  }
}

async function run(scenario: ScenarioRun): Promise<Outcome> {
  const env = { ...fastConstants({ claimSeconds: 2, workIntervalSeconds: 0.1 }), ORION_PLAY_CONCURRENCY: '8' };
  const system = await startSystem({ apis: 2, schedulers: 2, ownDatabase: true, faults: { instantPlays: true }, env });
  try {
    await system.launchWorkers(NODES);
    await system.untilFree(NODES, 60_000);
    const tenants = await Promise.all(Array.from({ length: TENANTS }, () => system.tenant()));
    const history = createHistory();
    const judge = await appointJudge(system, { history });
    const violations: Violation[] = [];
    let kills = 0;
    let ended = false;
    const lives = tenants.map((tenant, i) => live({ system, history, over: () => ended }, tenant, scenario.random.fork(`tenant-${i}`)));
    while (kills < scenario.operations && !scenario.timeIsUp() && violations.length === 0) {
      await killAndRestart({ system, random: scenario.random, history }).catch((error: unknown) =>
        violations.push(broken('the service comes back', `kill ${kills + 1}`, messageOf(error))),
      );
      kills += 1;
    }
    ended = true;
    await Promise.all(lives);
    await giveBack(system, tenants);
    await untilNodesAreFree(system, { timeoutMs: 60_000 });
    const moved = await system.sql<{ id: number }>("SELECT id FROM events WHERE type IN ('lease.moved', 'node.dead')");
    violations.push(
      ...moved.map(({ id }) => broken('I8', `event ${id}`, 'a machine was given up, or a lease moved, while only the database was away')),
      ...(await judge.violations()),
    );
    const counted = (outcome: string): number => history.operations.filter((operation) => operation.outcome === outcome).length;
    return {
      operations: kills,
      faults: kills,
      figures: { 'requests served': counted('ok'), 'requests without a certain answer': counted('unknown') },
      violations,
    };
  } finally {
    await system.close();
  }
}

export const databaseKills: Scenario = {
  name: 'database-kills',
  promise: 'MariaDB killed and started again under rents, extensions and releases: no acknowledged lease is lost, nobody is moved',
  unit: 'kills',
  operations: { short: 3, long: 20 },
  run,
};
