import { eventually, type Worker } from '../../lab';
import { expectStatus } from '../../support/api-client';
import { fastConstants, startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';
import { messageOf } from '../../../src/lib/errors';
import { systemClock } from '../../../src/lib/clock';
import { inspect } from '../leftovers/inspect';
import { LEFTOVERS } from '../leftovers/kinds';
import { judgeGround, layGround, plant } from '../leftovers/plant';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';

const KINDS_EACH = 20;
/** A wipe is two plays of a second each, but the machine may be another's for minutes: what is promised here is that it ends, not when. */
const PATIENCE_MS = 300_000;

export const leftovers: Scenario = {
  name: 'leftovers',
  promise: `a tenant plants ${KINDS_EACH} of ${LEFTOVERS.length} kinds of leftover over SSH; after its lease the node is free again, and root finds nothing of it there`,
  unit: 'wipes',
  operations: { short: 6, long: 300 },
  run: async (run) => {
    const env = { ...fastConstants({ claimSeconds: 15 }), ORION_PLAY_CONCURRENCY: '3', ORION_PLAY_TIMEOUT_SECONDS: '90' };
    const system = await startSystem({ apis: 1, schedulers: 1, env });
    try {
      return await wipeMany(system, run);
    } finally {
      await system.close();
    }
  },
};

async function wipeMany(system: System, run: ScenarioRun): Promise<Outcome> {
  const lanes = run.operations > 20 ? 5 : 3;
  // A machine each: what is found on a machine after a lease must not be what the next tenant plants there.
  const machines = await Promise.all(Array.from({ length: lanes }, (_, i) => launchWorkerOf(system, `lane-${i + 1}`)));
  await system.untilFree(lanes, PATIENCE_MS);
  const outcome: Outcome & { figures: Record<string, number> } = {
    operations: 0,
    faults: 0,
    violations: [],
    figures: { 'kinds planted': 0, 'free again within, s (worst)': 0 },
  };
  let taken = 0;

  const lane = async (machine: Machine): Promise<void> => {
    const tenant = await system.tenant();
    while (taken < run.operations && !run.timeIsUp()) {
      taken += 1;
      const number = taken;
      try {
        const { violations, seconds, planted } = await wipeOne({ system, machine, tenant, run, number });
        outcome.violations.push(...violations);
        outcome.figures['kinds planted'] = (outcome.figures['kinds planted'] ?? 0) + planted;
        outcome.figures['free again within, s (worst)'] = Math.max(outcome.figures['free again within, s (worst)'] ?? 0, seconds);
      } catch (error) {
        outcome.violations.push(broken('leftovers', `wipe ${number}`, `could not be carried out: ${messageOf(error)}`));
        continue;
      }
      outcome.operations += 1;
      outcome.faults += KINDS_EACH;
      if (outcome.operations % 10 === 0) {
        run.say(`${outcome.operations} wipes, ${outcome.violations.length} violations`);
      }
    }
  };

  await Promise.all(machines.map(lane));
  const [tries] = await system.sql<{ failed: number }>("SELECT COUNT(*) AS failed FROM events WHERE type = 'node.wipe_failed'");
  outcome.figures['wipes that had to be repeated'] = tries?.failed ?? NaN;
  outcome.violations.push(...(await system.violations()));
  return outcome;
}

/** A worker and the name under which Orion knows it. */
interface Machine {
  hostname: string;
  worker: Worker;
}

/** @param hostname also the value of the label `lane`, for rents that are meant for this machine */
async function launchWorkerOf(system: System, hostname: string): Promise<Machine> {
  const {
    workers: [worker],
  } = await system.launchWorkers(1, { labels: { lane: hostname }, agentEnv: { MY_HOSTNAME: hostname } });
  if (!worker) {
    throw new Error(`no worker for ${hostname}`);
  }
  return { hostname, worker };
}

interface Wipe {
  system: System;
  machine: Machine;
  tenant: Tenant;
  run: ScenarioRun;
  number: number;
}

/** One lease: rent, plant, release, wait until the node is free, look. */
async function wipeOne({
  system,
  machine: { hostname, worker },
  tenant,
  run,
  number,
}: Wipe): Promise<{ violations: Outcome['violations']; seconds: number; planted: number }> {
  const kinds = run.random.fork(`wipe ${number}`).shuffle(LEFTOVERS).slice(0, KINDS_EACH);
  const planted = kinds.map(({ name }) => name).join(', ');
  const [rented] = expectStatus(await tenant.rent({ seconds: 3600, requirements: { labels: { 'node/lane': hostname } } }), 201, 202).leases;
  const lease = await tenant.untilLease(rented?.id ?? NaN, 'is active', ({ state }) => state === 'active', PATIENCE_MS);
  const { access } = lease;
  if (!access) {
    throw new Error(`lease ${lease.id} is ${lease.state} on ${JSON.stringify(lease.node)}`);
  }
  const [row] = await system.sql<{ uid: number }>('SELECT uid FROM placements WHERE lease_id = ? AND username = ?', [
    lease.id,
    access.username,
  ]);
  const account = { username: access.username, uid: row?.uid ?? NaN };
  const where = `wipe ${number} of ${account.username} (${account.uid}) on ${hostname}`;
  const ground = await layGround(worker, `${number}`);
  const login = { address: access.host, port: access.port, user: access.username, hostKey: access.host_key, keyFile: tenant.keyFile };
  try {
    await plant(kinds, account, { worker, ground, login });
  } finally {
    await tenant.release(lease.id);
  }

  const releasedAt = systemClock.monotonicMs();
  const wiped = async (): Promise<boolean> => {
    const [placement] = await system.sql<{ state: string }>('SELECT state FROM placements WHERE lease_id = ?', [lease.id]);
    const node = await system.node(hostname);
    if (placement?.state === 'wiped' && node.free) {
      return true;
    }
    throw new Error(`placement ${placement?.state ?? 'gone'}, node ${node.status}, dirty ${node.dirty}, ${node.status_reason ?? ''}`);
  };
  await eventually(wiped, { what: `${where}: the node is free; planted ${planted}`, timeoutMs: PATIENCE_MS, everyMs: 100 });
  const seconds = (systemClock.monotonicMs() - releasedAt) / 1000;
  const found = [...(await inspect(worker, account)), ...(await judgeGround(worker, ground))];
  return { violations: found.map((what) => broken('I5', where, `${what}; planted ${planted}`)), seconds, planted: kinds.length };
}
