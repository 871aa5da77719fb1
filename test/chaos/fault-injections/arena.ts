import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import { eventually, type StepControl, type Worker, type WorkerFleet } from '../../lab';
import type { Lease, NodeForAdmin } from '../../../src/contract';
import { expectStatus } from '../../support/api-client';
import { createHistory, type History } from '../../support/history';
import type { Replica } from '../../support/replica';
import { fastConstants, startSystem, type System } from '../../support/system';
import { createTenant, type Tenant } from '../../support/tenant';
import { broken } from '../scenario';
import { appointJudge, type Judge } from '../judge';

export const CLAIM_SECONDS = 3;
export const OUTAGE_SECONDS = 3;
export const PATIENCE_MS = 60_000;
/** One node has this, and more processors than the others, so that it is the last that others are given. With real plays there is none. */
const PLACE = { place: 'alone' };
/** What a rent asks for that is to get the one machine with that label. */
export const ALONE = { labels: { 'node/place': PLACE.place }, cpus: 2 };

/** Two APIs, of which the first may be held, two schedulers, workers, tenants who call the second API. */
export interface Arena {
  system: System;
  fleet: WorkerFleet;
  history: History;
  judge: Judge;
  ada: Tenant;
  bob: Tenant;
  /** One more. */
  tenant: () => Promise<Tenant>;
  first: Replica;
  second: Replica;
  /** A new lease of Ada's, active. */
  lease: (options?: { seconds?: number; requirements?: object }) => Promise<Lease>;
  workerOf: (lease: Lease) => Worker;
  untilNode: (hostname: string, what: string, is: (node: NodeForAdmin) => boolean) => Promise<NodeForAdmin>;
  drain: (nodeId: number) => Promise<void>;
  /**
   * Looks at the tables in the middle of a fault injection, when a fault would be put right a moment later. True: something was found, and
   * goes into the report.
   */
  isBroken: () => Promise<boolean>;
  found: Violation[];
  /** Gives everything back, lets quarantined nodes in again, and waits until every node is free. */
  clear: () => Promise<void>;
}

/** One thing that happens in life, short and by itself; the judge looks right after it, and once more when all is given back. */
export interface FaultInjection {
  name: string;
  /** What is done and what has to hold. */
  promise: string;
  inject: (arena: Arena) => Promise<void>;
}

export async function openArena({ real, nodes }: { real: boolean; nodes: number }): Promise<Arena> {
  const system = await startSystem({
    apis: 2,
    schedulers: 2,
    faults: { proxy: true, steps: true, instantPlays: !real },
    env: fastConstants({
      claimSeconds: CLAIM_SECONDS,
      outageSeconds: OUTAGE_SECONDS,
      // The first API is held for seconds, and with it the heartbeats that it takes.
      overdueIntervals: 60,
      // Between a failed wipe and the next there is time to look.
      ...(real ? { retryFirstSeconds: 5, retryMaxSeconds: 5 } : {}),
    }),
  });
  try {
    return await furnish(system, { real, nodes });
  } catch (error) {
    await system.close();
    throw error;
  }
}

async function furnish(system: System, { real, nodes }: { real: boolean; nodes: number }): Promise<Arena> {
  const [first, second] = system.apis;
  if (!first || !second) {
    throw new Error('two APIs are needed');
  }
  const fleet = await system.launchWorkers(real ? nodes : nodes - 1, { cpus: 1 });
  if (!real) {
    await system.launchWorkers(1, { ...ALONE, labels: PLACE, agentEnv: { MY_HOSTNAME: 'alone' } });
  }
  await system.untilFree(nodes, 120_000);
  const history = createHistory();
  const tenants: Tenant[] = [];
  const tenant = async (): Promise<Tenant> => {
    const asFirst = await system.tenant();
    const made = createTenant(asFirst.userId, asFirst.client.at(second.url), asFirst);
    tenants.push(made);
    return made;
  };
  const [ada, bob] = await Promise.all([tenant(), tenant()]);
  const admin = system.admin.at(second.url);
  const order = async (nodeId: number, verb: string, body: object): Promise<void> => {
    expectStatus(await admin.post(`/api/nodes/${nodeId}/${verb}`, body), 200);
  };
  const untilNode: Arena['untilNode'] = (hostname, what, is) =>
    eventually(
      async () => {
        const node = await system.node(hostname);
        if (!is(node)) {
          throw new Error(`it is ${node.status} (${node.status_reason ?? ''}), dirty ${node.dirty}, free ${node.free}`);
        }
        return node;
      },
      { what: `${hostname} ${what}`, timeoutMs: PATIENCE_MS, everyMs: 50 },
    );
  const found: Violation[] = [];
  return {
    system,
    fleet,
    history,
    ada,
    bob,
    first,
    second,
    tenant,
    untilNode,
    found,
    isBroken: async () => found.push(...(await system.violations({ history: history.operations }))) > 0,
    judge: await appointJudge(system, real ? { history, fleet } : { history }),
    lease: async ({ seconds = 600, requirements } = {}) => {
      const [leased] = expectStatus(
        (await history.rent(ada, { seconds, ...(requirements ? { requirements } : {}), key: `lease-${history.operations.length}` })) ??
          noAnswer(),
        201,
        200,
      ).leases;
      return leased ?? noAnswer();
    },
    workerOf: ({ node }) => fleet.workers.find(({ name }) => name === node?.hostname) ?? noAnswer(),
    drain: (nodeId) => order(nodeId, 'drain', { move: true }),
    clear: async () => {
      const running = await system.sql<{ id: number; user: number }>(
        "SELECT id, user_id AS user FROM leases WHERE state IN ('provisioning','active','migrating')",
      );
      for (const { id, user } of running) {
        const owner = tenants.find(({ userId }) => userId === user) ?? noAnswer();
        expectStatus((await history.release(owner, { leaseId: id })) ?? noAnswer(), 200);
      }
      for (const { id } of await system.sql<{ id: number }>('SELECT id FROM nodes WHERE drained')) {
        await order(id, 'undrain', {});
      }
      for (const node of await system.nodes()) {
        if (node.status === 'quarantined') {
          await order(node.id, 'approve', { host_key_fingerprint: node.offered_host_key_fingerprint ?? node.host_key_fingerprint });
        }
      }
      await system.untilFree(nodes, PATIENCE_MS);
    },
  };
}

function noAnswer(): never {
  throw new Error('there is no answer where one has to be');
}

/** Injects the fault, looks at the tables, gives all back, looks at everything. What is found in the tables ends it at once. */
export async function carryOut(arena: Arena, { name, inject }: FaultInjection): Promise<Violation[]> {
  const { system, history, judge } = arena;
  const failure = await inject(arena).then(() => undefined, messageOf);
  const atOnce = [...arena.found, ...(await system.violations({ history: history.operations }))];
  if (failure !== undefined || atOnce.length > 0) {
    return [...atOnce, ...(failure === undefined ? [] : [broken('fault injection', name, failure)])].map((violation) =>
      after(name, violation),
    );
  }
  const stuck = await arena.clear().then(() => undefined, messageOf);
  return [...(await judge.violations()), ...(stuck === undefined ? [] : [broken('converges', name, stuck)])].map((violation) =>
    after(name, violation),
  );
}

const after = (name: string, violation: Violation): Violation => ({ ...violation, what: `${violation.what} (after ${name})` });

export function stepsOf({ steps }: Replica): StepControl {
  if (!steps) {
    throw new Error('the replica has no steps to hold');
  }
  return steps;
}

/** Waits until a loop of this process has gone round that many times more. */
export async function untilPasses({ url }: Replica, loop: string, more: number): Promise<void> {
  const count = async (): Promise<number> => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return [...metrics.matchAll(/^orion_loop_passes_total\{([^}]*)\} (\d+)/gm)]
      .filter(([, labels]) => labels?.includes(`loop="${loop}"`))
      .reduce((sum, [, , n]) => sum + Number(n), 0);
  };
  const before = await count();
  await eventually(async () => (await count()) >= before + more, {
    what: `${more} passes of ${loop}`,
    timeoutMs: PATIENCE_MS,
    everyMs: 50,
  });
}
