import { systemClock } from '../../../src/lib/clock';
import { eventually } from '../../lab';
import type { Lease } from '../../../src/contract';
import { expectStatus } from '../../support/api-client';
import { isClear } from './tenants';
import { type Fault, mustBe, mustMove, mustStay } from './fault';
import { eventsSince, now, type Stage, type Struck, untilWiped, WITHIN } from './stage';
import type { Random } from '../random';

interface Place {
  id: number;
  node: number;
  generation: number;
}

/** Where everybody is who has an account. */
const places = ({ system }: Stage): Promise<Place[]> =>
  system.sql(
    "SELECT id, occupied_node_id AS node, generation FROM leases WHERE state IN ('active','migrating') AND activated_at IS NOT NULL",
  );

const outage: Fault = {
  name: 'the whole fleet hangs',
  carryOut: async (stage, random) => {
    const { system, fleet } = stage;
    const struck = await stage.takeLease(random);
    const mark = await now(stage);
    const before = await places(stage);
    await Promise.all(fleet.workers.map((worker) => worker.freeze()));
    const dead = async (): Promise<boolean> =>
      (await system.sql("SELECT id FROM nodes WHERE status NOT IN ('dead','retired')")).length === 0;
    await eventually(dead, { what: 'all are judged dead', timeoutMs: WITHIN.death, everyMs: 50 });
    await systemClock.sleep(random.between(0, 4_000));
    await Promise.all(fleet.workers.map((worker) => worker.thaw()));
    await stage.untilCalm();

    const ids = new Set(before.map(({ id }) => id));
    const moved = (await eventsSince(stage, mark, 'lease.moved')).filter(({ leaseId }) => ids.has(leaseId ?? 0));
    mustBe('moves of those who had an account when the fleet hung', moved.map(({ leaseId }) => leaseId).join(', '), '');
    const turns = await eventsSince(stage, mark, 'fleet.brake_on', 'fleet.brake_off');
    mustBe('the first and the last turn of the brake', [turns[0]?.type, turns.at(-1)?.type].join(', '), 'fleet.brake_on, fleet.brake_off');
    await mustStay(stage, struck);
    await stage.giveBack(struck.lease);
  },
};

const drained: Fault = {
  name: 'drained with a move',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    expectStatus(await stage.system.admin.post(`/api/nodes/${struck.nodeId}/drain`, { move: true }), 200);
    const moved = await mustMove(stage, struck, random);
    await untilWiped(stage, struck);
    expectStatus(await stage.system.admin.post(`/api/nodes/${struck.nodeId}/undrain`, {}), 200);
    await stage.giveBack(moved);
  },
};

/** Everything that is free, and whatever becomes free meanwhile. */
async function takeAll(stage: Stage, random: Random): Promise<Lease[]> {
  const taken: Lease[] = [];
  const leftOver = async (): Promise<boolean> => {
    const waiting = await stage.system.sql("SELECT id FROM nodes WHERE status <> 'retired' AND lease_id IS NULL");
    for (let i = 0; i < waiting.length; i += 1) {
      const answer = await stage.history.rent(stage.subject, {
        key: `all-${stage.history.operations.length}`,
        at: random.pick(stage.urls),
        seconds: 900,
      });
      taken.push(...(answer && answer.status < 300 ? answer.body.leases : []));
      if (!isClear(answer)) {
        throw new Error(`answered ${answer?.status ?? 0}`);
      }
    }
    return waiting.length === 0;
  };
  await eventually(leftOver, { what: 'every machine is taken', timeoutMs: WITHIN.wipe, everyMs: 200 });
  return taken;
}

interface Full {
  stage: Stage;
  struck: Struck;
  random: Random;
  /** What the subject holds besides; to be given back. */
  others: Lease[];
}

/** Nobody is free, so that the lease of a machine that dies has nowhere to go, and says so. */
const nowhereToGo = (name: string, goOn: (full: Full) => Promise<void>): Fault => ({
  name,
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    await stage.life.pause();
    try {
      const others = await takeAll(stage, random);
      await struck.worker.kill();
      const waiting = await stage.subject.untilLease(struck.lease.id, 'waits', ({ waiting_since: since }) => since !== null, WITHIN.move);
      mustBe('the state of who waits', waiting.state, 'migrating');
      mustBe(
        'the events of who waits',
        waiting.events.some(({ type }) => type === 'lease.waiting'),
        true,
      );
      await goOn({ stage, struck, random, others });
      await stage.giveBack(struck.lease, ...others);
    } finally {
      stage.life.resume();
    }
  },
});

const waits = nowhereToGo('dies while no node is free', async ({ stage, struck, random, others }) => {
  const [given] = others.splice(0, 1);
  if (!given) {
    throw new Error('the tenants hold every other machine');
  }
  await stage.giveBack(given);
  await mustMove(stage, struck, random);
  await struck.worker.start();
  await untilWiped(stage, struck);
});

const waitsAndReturns = nowhereToGo('dies while no node is free, and comes back', async ({ stage, struck }) => {
  await struck.worker.start();
  await mustStay(stage, struck);
});

export const FLEET_FAULTS = [outage, drained, waits, waitsAndReturns];
