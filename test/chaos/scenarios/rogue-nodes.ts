import { systemClock } from '../../../src/lib/clock';
import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import { eventually } from '../../lab';
import type { Lease } from '../../../src/contract';
import { startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';
import { BAITS, enrolTrap, type Trap } from '../rogue/traps';
import { watch } from '../rogue/watch';
import { fillDisk, holdHalfOpen, shrinkDisk } from '../rogue/workers';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';

const GOOD = 4;
const HALF_OPEN = 200;
/**
 * The probes' interval (1), their pass (0.25) and the longest that one may take (2.5) make 3.75 s; one more for two cores that also run the
 * traps.
 */
const GAP_SECONDS = 5;
/** What V8 keeps of a busier life; a leak of the megabytes that the traps send would be hundreds. */
const GROWTH_MB = 60;
/** Retries of wipes come every 2 s here, and a probe has to find the machine well before. */
const BACK_WITHIN_MS = 60_000;

export const rogueNodes: Scenario = {
  name: 'rogue-nodes',
  promise: `${Object.keys(BAITS).length} kinds of traps, a worker under ${HALF_OPEN} half-open connections and one whose disk is full: the others are probed in time and leased, memory stays flat, both workers are wiped in the end`,
  unit: 'probes of good nodes',
  operations: { short: 60, long: 3000 },
  run: async (run) => {
    // Wipes of traps that answer the probes last as long as a play may.
    const system = await startSystem({ apis: 1, schedulers: 1, env: { ORION_PLAY_TIMEOUT_SECONDS: '15' } });
    try {
      return await amongRogues(system, run);
    } finally {
      await system.close();
    }
  },
};

const SOLE = (kind: string): object => ({ labels: { 'node/kind': kind } });

async function amongRogues(system: System, run: ScenarioRun): Promise<Outcome> {
  const ada = await system.tenant();
  const [good, crowded, full] = [
    await system.launchWorkers(GOOD, { labels: { kind: 'good' } }),
    await system.launchWorkers(1, { labels: { kind: 'crowded' }, agentEnv: { MY_HOSTNAME: 'crowded' } }),
    await system.launchWorkers(1, { labels: { kind: 'full' }, agentEnv: { MY_HOSTNAME: 'full' } }),
  ];
  const [crowdedWorker, fullWorker] = [crowded.workers[0], full.workers[0]];
  if (!crowdedWorker || !fullWorker) {
    throw new Error('no workers');
  }
  await system.untilFree(GOOD + 2);
  await shrinkDisk(fullWorker);
  // Every path has been walked before memory is measured.
  const rents = createRents(ada);
  await rents.once();
  const [onCrowded, onFull] = [await ada.rentOne({ requirements: SOLE('crowded') }), await ada.rentOne({ requirements: SOLE('full') })];

  const watched = watch(
    system,
    good.workers.map(({ name }) => name),
  );
  const traps = await enrolAll(system, run);
  const held = await holdHalfOpen(system.lab, crowdedWorker, HALF_OPEN);
  run.say(`disk of ${fullWorker.name}: ${await fill(ada, onFull)} left`);
  const fullIsBack = wipedWithin(system, ada, { lease: onFull, hostname: 'full', what: 'whose disk the tenant filled' });
  const crowdedIsLeft = releaseOnceSuspect(system, ada, onCrowded);

  const violations: Violation[] = [];
  const late = (): boolean => run.timeIsUp() || watched.probes() >= run.operations;
  while (!late() || traps.some((trap) => trap.caught() < 3)) {
    await rents.once().catch((error: unknown) => void violations.push(broken('rogue-nodes', 'a rent on a good node', messageOf(error))));
    run.say(
      `${watched.probes()} probes, longest gap ${watched.worstGapSeconds().toFixed(1)} s, memory ${watched.growthMb().settled.toFixed(0)} MB more, ${rents.count()} rents`,
    );
  }
  const seen = { gap: watched.worstGapSeconds(), late: watched.lateSeconds(), growth: watched.growthMb(), probes: watched.probes() };
  await watched.stop();
  violations.push(...(await fullIsBack), ...(await crowdedIsLeft));
  held.end();
  violations.push(
    ...(await wipedWithin(system, ada, {
      lease: onCrowded,
      hostname: 'crowded',
      what: 'after its half-open connections ended',
      released: true,
    })),
  );
  violations.push(...judge(seen), ...(await judgeTraps(system, traps)), ...(await system.violations()));
  return {
    operations: seen.probes,
    faults: traps.reduce((sum, trap) => sum + trap.caught(), held.opened()),
    figures: {
      'longest gap, s': seen.gap,
      'memory, MB more': seen.growth.settled,
      'memory at its peak, MB more': seen.growth.peak,
      rents: rents.count(),
      'rent, s (worst)': rents.worstSeconds(),
    },
    violations,
  };
}

/** Every kind, and as many more as make half of the prober's places. */
async function enrolAll(system: System, { random }: ScenarioRun): Promise<Trap[]> {
  const kinds = Object.keys(BAITS);
  const more = random.shuffle(kinds.filter((kind) => !kind.startsWith('sly-'))).slice(0, 16 - kinds.length);
  const traps: Trap[] = [];
  for (const [i, kind] of random.shuffle([...kinds, ...more]).entries()) {
    traps.push(await enrolTrap(system, kind, i + 1));
  }
  return traps;
}

/** Rent, log in, release: on good nodes, again and again. */
function createRents(tenant: Tenant): { once(): Promise<void>; count(): number; worstSeconds(): number } {
  let count = 0;
  let worst = 0;
  return {
    count: () => count,
    worstSeconds: () => worst,
    once: async () => {
      const startedAt = systemClock.monotonicMs();
      const lease = await tenant.rentOne({ requirements: SOLE('good') });
      worst = Math.max(worst, (systemClock.monotonicMs() - startedAt) / 1000);
      const { code, stderr } = await tenant.login(lease, 'true');
      await tenant.release(lease.id);
      if (code !== 0) {
        throw new Error(`login to lease ${lease.id} ended with ${String(code)}: ${stderr}`);
      }
      await tenant.untilLease(lease.id, 'is over', ({ state }) => state === 'ended', BACK_WITHIN_MS);
      count += 1;
    },
  };
}

async function fill(tenant: Tenant, { id, access }: Lease): Promise<string> {
  if (!access) {
    throw new Error(`lease ${id} has no access`);
  }
  return fillDisk({ address: access.host, port: access.port, user: access.username, hostKey: access.host_key, keyFile: tenant.keyFile });
}

/** A lease whose machine stopped answering can be given back all the same. */
async function releaseOnceSuspect(system: System, tenant: Tenant, lease: Lease): Promise<Violation[]> {
  try {
    await eventually(async () => ['suspect', 'dead'].includes((await system.node('crowded')).status), {
      what: 'the crowded node is suspect',
      timeoutMs: 30_000,
      everyMs: 100,
    });
    await tenant.release(lease.id);
    return [];
  } catch (error) {
    return [broken('rogue-nodes', 'the crowded node', messageOf(error))];
  }
}

interface Wiped {
  lease: Lease;
  hostname: string;
  what: string;
  released?: boolean;
}

async function wipedWithin(system: System, tenant: Tenant, { lease, hostname, what, released = false }: Wiped): Promise<Violation[]> {
  try {
    if (!released) {
      await tenant.release(lease.id);
    }
    const isFree = async (): Promise<boolean> => {
      const node = await system.node(hostname);
      if (!node.free) {
        throw new Error(`${node.status}, dirty ${node.dirty}, lease ${node.lease_id ?? 'none'}, ${node.status_reason ?? ''}`);
      }
      return true;
    };
    await eventually(isFree, { what: `${hostname} is free again`, timeoutMs: BACK_WITHIN_MS, everyMs: 200 });
    return [];
  } catch (error) {
    return [broken('rogue-nodes', `the node ${what}`, messageOf(error))];
  }
}

function judge({ gap, late, growth }: { gap: number; late: number; growth: { settled: number } }): Violation[] {
  return [
    ...(gap > GAP_SECONDS + late
      ? [broken('I10', 'probes of good nodes', `${gap.toFixed(1)} s between two (this process itself was ${late.toFixed(1)} s late)`)]
      : []),
    ...(growth.settled > GROWTH_MB
      ? [broken('rogue-nodes', 'memory of the scheduler', `${growth.settled.toFixed(0)} MB more than before the traps`)]
      : []),
  ];
}

/** None of them may ever be leased. */
async function judgeTraps(system: System, traps: Trap[]): Promise<Violation[]> {
  const nodes = await system.nodes();
  return traps.flatMap(({ hostname }) => {
    const node = nodes.find((each) => each.hostname === hostname);
    const sly = hostname.startsWith('sly-');
    const wrong = !node || node.free || (!sly && node.status === 'alive') || (sly && !node.dirty);
    return wrong ? [broken('rogue-nodes', hostname, `is ${JSON.stringify(node)}`)] : [];
  });
}
