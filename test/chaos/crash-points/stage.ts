import { type StepControl, type WorkerFleet } from '../../lab';
import type { Lease } from '../../../src/contract';
import { type ApiClient, expectStatus } from '../../support/api-client';
import { untilNodesAreFree } from '../../support/free-nodes';
import { createHistory, type History } from '../../support/history';
import type { Replica } from '../../support/replica';
import { fastConstants, startSystem, type System } from '../../support/system';
import { createTenant, type Tenant } from '../../support/tenant';
import { appointJudge, type Judge } from '../judge';

export const CLAIM_SECONDS = 2;
/** The longest wait of the loops that pick up what was dropped. */
export const LOOP_SECONDS = 1;
const WORKERS = 4;

/** Two APIs, of which the first is struck and the second is where clients turn to, two schedulers, a few nodes, one tenant. */
export interface Stage {
  system: System;
  fleet: WorkerFleet;
  history: History;
  judge: Judge;
  /** Accounts are real ones, so that logging in proves something. */
  real: boolean;
  struckApi(): Replica;
  schedulers(): Replica[];
  /** Calls the second API. */
  tenant: Tenant;
  admin: ApiClient;
  firstUrl: string;
  secondUrl: string;
  /** Starts again what was killed: the API at its old port. */
  mend(): Promise<void>;
  /** A new lease, active; through the second API. */
  lease(seconds?: number): Promise<Lease>;
  /** Gives everything back and waits until every node is free again. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function setStage(real: boolean): Promise<Stage> {
  const system = await startSystem({
    apis: 2,
    schedulers: 2,
    faults: { proxy: true, steps: true, instantPlays: !real },
    // A killed API takes the agents' heartbeats with it for a while: that is not what is tried here.
    env: fastConstants({ claimSeconds: CLAIM_SECONDS, overdueIntervals: 60 }),
  });
  try {
    return await furnish(system, real);
  } catch (error) {
    await system.close();
    throw error;
  }
}

async function furnish(system: System, real: boolean): Promise<Stage> {
  const [first, second] = system.apis;
  if (!first || !second) {
    throw new Error('two APIs are needed');
  }
  const fleet = await system.launchWorkers(WORKERS);
  await system.untilFree(WORKERS);
  const history = createHistory();
  const asFirst = await system.tenant();
  const tenant = createTenant(asFirst.userId, asFirst.client.at(second.url), asFirst);
  const admin = system.admin.at(second.url);
  const live = (all: Replica[]): Replica[] => all.filter((each) => each.running());
  let struck = first;
  const mend = async (): Promise<void> => {
    if (!struck.running()) {
      struck = await system.startApi({ port: Number(new URL(first.url).port) });
    }
    while (live(system.schedulers).length < 2) {
      await system.startScheduler();
    }
  };
  const lease = async (seconds = 600): Promise<Lease> => {
    const [rented] = expectStatus(
      (await history.rent(tenant, { seconds, key: `stage-${history.operations.length}` })) ?? noAnswer(),
      201,
      200,
    ).leases;
    return rented ?? noAnswer();
  };
  return {
    system,
    fleet,
    history,
    real,
    tenant,
    admin,
    lease,
    judge: await appointJudge(system, real ? { history, fleet } : { history }),
    firstUrl: first.url,
    secondUrl: second.url,
    struckApi: () => struck,
    schedulers: () => live(system.schedulers),
    mend,
    clear: async () => {
      await mend();
      live([...system.apis, ...system.schedulers]).forEach(({ proxy }) => proxy && (proxy.decide = () => 'pass'));
      const running = await system.sql<{ id: number }>("SELECT id FROM leases WHERE state IN ('provisioning','active','migrating')");
      for (const { id } of running) {
        expectStatus((await history.release(tenant, { leaseId: id })) ?? noAnswer(), 200);
      }
      for (const { id } of await system.sql<{ id: number }>('SELECT id FROM nodes WHERE drained')) {
        expectStatus(await admin.post(`/api/nodes/${id}/undrain`, {}), 200);
      }
      await untilNodesAreFree(system, { timeoutMs: 60_000 });
    },
    close: () => system.close(),
  };
}

function noAnswer(): never {
  throw new Error('the API that nobody struck did not answer');
}

/** The steering of replicas that were started with it. */
export function controlsOf(replicas: Replica[]): StepControl[] {
  return replicas.map(({ steps }) => {
    if (!steps) {
      throw new Error('the replica has no steps to hold');
    }
    return steps;
  });
}
