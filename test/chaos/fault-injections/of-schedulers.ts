import { systemClock } from '../../../src/lib/clock';
import { eventually, untilHeld } from '../../lab';
import { ALONE, type Arena, OUTAGE_SECONDS, PATIENCE_MS, type FaultInjection, stepsOf, untilPasses } from './arena';

const staleMaker: FaultInjection = {
  name: 'stale-maker',
  promise: 'an API that stood still over its claim after making an account finds it made by a scheduler: it completes nothing',
  inject: async ({ system, history, ada, first }) => {
    const held = untilHeld([stepsOf(first)], 'placement.made');
    const answer = history.rent(ada, { key: 'stale-maker', at: first.url });
    const { goOn } = await held;
    const made = async (): Promise<boolean> => (await system.sql("SELECT id FROM leases WHERE state = 'active'")).length === 1;
    await eventually(made, { what: 'a scheduler has made the account', timeoutMs: PATIENCE_MS, everyMs: 50 }).finally(goOn);
    await answer;
  },
};

const staleWiper: FaultInjection = {
  name: 'stale-wiper',
  promise:
    'a scheduler that stood still over its claim after a verified wipe comes back when the node waits for the next wipe: it frees nothing',
  inject: async ({ system, ada, history, lease, isBroken }) => {
    const controls = system.schedulers.map(stepsOf);
    const firstHeld = untilHeld(controls, 'wipe.verified');
    const before = await lease({ requirements: ALONE });
    await history.release(ada, { leaseId: before.id });
    const stale = await firstHeld;
    const late = controls[stale.index];
    const other = controls.find((control) => control !== late);
    if (!late || !other) {
      throw new Error('two schedulers are needed');
    }
    const free = async (): Promise<boolean> =>
      (await system.sql("SELECT id FROM nodes WHERE hostname = 'alone' AND leasable")).length === 1;
    await eventually(free, { what: 'the other scheduler has wiped the node', timeoutMs: PATIENCE_MS, everyMs: 50 });
    const next = await lease({ requirements: ALONE });
    const otherHeld = untilHeld([other], 'wipe.claimed');
    await history.release(ada, { leaseId: next.id });
    const { goOn } = await otherHeld;
    const seen = late.seen.length;
    stale.goOn();
    await eventually(() => late.seen.slice(seen).includes('wipe.done'), {
      what: 'the stale wipe has been completed or refused',
      timeoutMs: PATIENCE_MS,
    });
    // Looked at before the other goes on: from then on it is put right.
    await isBroken().finally(goOn);
  },
};

const brokenRow: FaultInjection = {
  name: 'broken-row',
  promise: 'a lease whose row makes every attempt to move it throw stands at the head of the queue: those behind it are moved',
  inject: async ({ system, ada, lease, drain }) => {
    const [, paused] = system.schedulers;
    const [damaged, sound] = [await lease(), await lease()];
    // Another scheduler could slip past the row while this one holds its lock.
    paused?.pause();
    try {
      await system.sql("UPDATE leases SET requirements = '{}' WHERE id = ?", [damaged.id]);
      await drain(damaged.node?.id ?? 0);
      await drain(sound.node?.id ?? 0);
      const moved = ada.untilLease(
        sound.id,
        'is active elsewhere',
        ({ state, generation }) => state === 'active' && generation === 2,
        25_000,
      );
      await moved.catch(() => undefined);
    } finally {
      paused?.resume();
      await system.sql('UPDATE leases SET requirements = (SELECT requirements FROM leases WHERE id = ?) WHERE id = ?', [
        sound.id,
        damaged.id,
      ]);
    }
  },
};

const idleWorker = async ({ system, fleet }: Arena): Promise<string> => {
  const [node] = await system.sql<{ hostname: string }>(
    "SELECT hostname FROM nodes WHERE leasable AND hostname LIKE 'worker-%' ORDER BY id DESC LIMIT 1",
  );
  return node?.hostname ?? fleet.workers[0]?.name ?? '';
};

const outage: FaultInjection = {
  name: 'outage',
  promise: 'a node fails, all schedulers stand still for a while: its death is judged anew; back again, it is wiped before it is free',
  inject: async (arena) => {
    const { system, fleet, isBroken, untilNode } = arena;
    const hostname = await idleWorker(arena);
    const worker = fleet.workers.find(({ name }) => name === hostname);
    await worker?.freeze();
    try {
      await untilNode(hostname, 'is suspect', ({ status }) => status === 'suspect');
      system.schedulers.forEach((scheduler) => scheduler.pause());
      await systemClock.sleep((OUTAGE_SECONDS + 1.5) * 1000);
      system.schedulers.forEach((scheduler) => scheduler.resume());
      await untilNode(hostname, 'is dead', ({ status }) => status === 'dead');
      if (await isBroken()) {
        return;
      }
    } finally {
      await worker?.thaw();
    }
    await untilNode(hostname, 'is free', ({ free }) => free);
  },
};

const breaker: FaultInjection = {
  name: 'breaker',
  promise: 'most of the fleet stops at once, and two nodes are free and well: nobody is moved',
  inject: async ({ system, fleet, isBroken, lease, workerOf, untilNode }) => {
    const leased = await lease();
    const worker = workerOf(leased);
    const victims = [worker, ...fleet.workers.filter((each) => each !== worker)].slice(0, -1);
    await Promise.all(victims.map((each) => each.freeze()));
    try {
      await untilNode(worker.name, 'is dead', ({ status }) => status === 'dead');
      await Promise.all(system.schedulers.map((scheduler) => untilPasses(scheduler, 'migrate', 4)));
      if (await isBroken()) {
        return;
      }
    } finally {
      await Promise.all(victims.map((each) => each.thaw()));
    }
  },
};

export const OF_SCHEDULERS: FaultInjection[] = [staleMaker, staleWiper, brokenRow, outage, breaker];
