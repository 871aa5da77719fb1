import { systemClock } from '../../../src/lib/clock';
import { eventually } from '../../lab';
import type { Rented } from '../../../src/contract';
import { expectStatus } from '../../support/api-client';
import type { Random } from '../random';
import { type Fault, mustBe, mustMove, mustStay } from './fault';
import { eventsSince, insist, now, type Stage, type Struck, untilWiped, WITHIN } from './stage';

const untilReady = ({ system }: Stage): Promise<true> =>
  eventually(
    async () =>
      (
        await Promise.all(
          [...system.apis, ...system.schedulers].filter((each) => each.running()).map(async ({ url }) => (await fetch(`${url}/readyz`)).ok),
        )
      ).every(Boolean),
    { what: 'every replica is ready again', timeoutMs: WITHIN.answer, everyMs: 100 },
  );

/** A rent that is under way when the blow falls: repeated with its key, it is one lease. */
function rentMeanwhile(stage: Stage, random: Random, at: string): { answered: Promise<unknown>; lease: () => Promise<number> } {
  const key = `meanwhile-${stage.history.operations.length}`;
  const answered = stage.history.rent(stage.subject, { key, at });
  return {
    answered,
    lease: async () => {
      await answered;
      const { leases } = await insist<Rented>('the repeated rent', () =>
        stage.history.rent(stage.subject, { key, at: random.pick(stage.urls) }),
      );
      const id = leases[0]?.id ?? 0;
      await stage.subject.untilLease(id, 'is active', ({ state }) => state === 'active', WITHIN.move);
      return id;
    },
  };
}

/** Longer and shorter than `outageSeconds`, after which health is judged anew. */
const OUTAGE_MS = [300, 3_000, 12_000];

async function stopDatabase({ system }: Stage, random: Random): Promise<void> {
  await systemClock.sleep(random.between(0, 1_500));
  await system.mariadb?.stop();
  await systemClock.sleep(random.pick(OUTAGE_MS));
  await system.mariadb?.restart();
}

/** I8: whoever is given up or moved, but for the one node that was struck too, was so because of the database. */
async function nobodyElse(stage: Stage, mark: number, struckId = 0): Promise<void> {
  const seen = await eventsSince(stage, mark, 'lease.moved', 'node.dead');
  const others = seen.filter(({ nodeId, fromNode }) => (fromNode ?? nodeId) !== struckId);
  mustBe(
    'what else died or was moved',
    others.map(({ type, leaseId, nodeId }) => `${type} lease ${leaseId ?? '-'} node ${nodeId ?? '-'}`).join(', '),
    '',
  );
}

const database: Fault = {
  name: 'MariaDB is stopped and started',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    const mark = await now(stage);
    const rent = rentMeanwhile(stage, random, random.pick(stage.urls));
    await stopDatabase(stage, random);
    await untilReady(stage);
    const rented = await rent.lease();
    await untilLookedAt(stage);
    await nobodyElse(stage, mark);
    await mustStay(stage, struck);
    await stage.giveBack(struck.lease, { ...struck.lease, id: rented });
  },
};

/** Long enough for a wrong decision to be made and carried out: every node was checked several times since. */
async function untilLookedAt({ system }: Stage): Promise<void> {
  const [start] = await system.sql<{ at: string }>('SELECT UTC_TIMESTAMP(3) + INTERVAL 5 SECOND AS at');
  const looked = async (): Promise<boolean> =>
    (
      await system.sql("SELECT id FROM nodes WHERE status <> 'retired' AND (last_checked_at IS NULL OR last_checked_at < ?)", [
        start?.at ?? '',
      ])
    ).length === 0;
  await eventually(looked, { what: 'every node was looked at for a while', timeoutMs: WITHIN.answer, everyMs: 100 });
}

const databaseInMigration = (
  name: string,
  strike: (stage: Stage, struck: Struck) => Promise<void>,
  mend: (stage: Stage, struck: Struck) => Promise<void>,
): Fault => ({
  name: `MariaDB is stopped and started ${name}`,
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    const mark = await now(stage);
    await strike(stage, struck);
    await stopDatabase(stage, random);
    await untilReady(stage);
    const moved = await mustMove(stage, struck, random);
    await nobodyElse(stage, mark, struck.nodeId);
    await mend(stage, struck);
    await stage.giveBack(moved);
  },
});

const databaseInDrain = databaseInMigration(
  'in the middle of a migration',
  async ({ system }, { nodeId }) => void expectStatus(await system.admin.post(`/api/nodes/${nodeId}/drain`, { move: true }), 200),
  async (stage, struck) => {
    await untilWiped(stage, struck);
    expectStatus(await stage.system.admin.post(`/api/nodes/${struck.nodeId}/undrain`, {}), 200);
  },
);

const databaseInDeath = databaseInMigration(
  'while a machine dies',
  (_, { worker }) => worker.kill(),
  async (stage, struck) => {
    await struck.worker.start();
    await untilWiped(stage, struck);
  },
);

const apiDies: Fault = {
  name: 'an API is killed in the middle of a rent',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    const i = random.between(0, stage.urls.length - 1);
    const rent = rentMeanwhile(stage, random, stage.urls[i] ?? '');
    await systemClock.sleep(random.between(0, 2_500));
    await stage.api(i).kill9();
    await systemClock.sleep(random.between(0, 3_000));
    await stage.restartApi(i);
    const rented = await rent.lease();
    await mustStay(stage, struck);
    await stage.giveBack(struck.lease, { ...struck.lease, id: rented });
  },
};

const schedulerDies: Fault = {
  name: 'a scheduler is killed in the middle of a migration',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    await struck.worker.kill();
    await systemClock.sleep(random.between(0, 5_000));
    await random.pick(stage.schedulers()).kill9();
    await systemClock.sleep(random.between(0, 3_000));
    await stage.system.startScheduler();
    const moved = await mustMove(stage, struck, random);
    await struck.worker.start();
    await untilWiped(stage, struck);
    await stage.giveBack(moved);
  },
};

export const CONTROL_PLANE_FAULTS = [database, databaseInDrain, databaseInDeath, apiDies, schedulerDies];
