import { describe, expect, it } from '@jest/globals';
import { eventually } from '../lab';
import type { Lease } from '../../src/contract';
import { expectStatus } from '../support/api-client';
import { useFleet, useSystem, useTenant } from '../support/hooks';
import { fastConstants, type System } from '../support/system';
import { inside, KILL_AGENT, workerOf } from './support/inside';

describe('most of the fleet fails at once', () => {
  const NODES = 6;
  /** By default. */
  const DEAD_AFTER = 3;
  const system = useSystem({
    apis: 1,
    schedulers: 2,
    env: { ...fastConstants({ suspectIntervalSeconds: 1.5, probeTimeoutSeconds: 2 }), ORION_PROBE_INTERVAL_SECONDS: '6' },
  });
  const fleet = useFleet(system, NODES);
  const ada = useTenant(system);

  const dead = async (): Promise<boolean> => (await system.nodes()).every(({ status }) => status === 'dead');
  const placesOf = async (leases: Lease[]): Promise<unknown[]> =>
    (await Promise.all(leases.map(({ id }) => ada.lease(id)))).map(({ id, node, generation, ends_at: endsAt, access }) => ({
      id,
      node: node?.id,
      generation,
      endsAt,
      access,
    }));

  it('I8: when every node is frozen at once nobody is moved, an alarm is raised, and after the thaw every lease is where it was', async () => {
    const leases = expectStatus(await ada.rent({ count: 2 }), 201).leases;
    const before = await placesOf(leases);

    await Promise.all(fleet.workers.map((worker) => worker.freeze()));
    await eventually(dead, { what: 'all are judged dead', timeoutMs: 30_000 });
    // As it happens with a long interval: the turn of the leased nodes comes when the others are back and wiped already.
    await system.sql(
      'UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3) + INTERVAL 25 SECOND, probe_token = NULL WHERE lease_id IS NOT NULL',
    );
    const alarms = await system.sql("SELECT id FROM events WHERE type = 'fleet.brake_on'");
    expect(alarms.length).toBeGreaterThan(0);
    expect(await breakerGauge(system)).toBe('1');

    await Promise.all(fleet.workers.map((worker) => worker.thaw()));
    for (const { id } of leases) {
      await ada.untilLease(id, 'is active', ({ state }) => state === 'active');
    }
    await system.untilFree(NODES - leases.length);
    expect(await placesOf(leases)).toEqual(before);
    expect(await system.sql("SELECT id FROM events WHERE type = 'lease.moved'")).toEqual([]);
    expect((await Promise.all(leases.map((lease) => ada.login(lease, 'true')))).map(({ code }) => code)).toEqual([0, 0]);
    await eventually(async () => (await breakerGauge(system)) === '0', { what: 'the breaker is closed' });
  }, 90_000);

  it('I8: when every node loses its power at once, too', async () => {
    const leases = expectStatus(await ada.client.get<{ items: Lease[] }>('/api/leases?running=true'), 200).items;
    const before = await placesOf(leases);
    await Promise.all(fleet.workers.map((worker) => worker.kill()));
    await eventually(dead, { what: 'all are judged dead', timeoutMs: 30_000 });
    // Those of the leases first: once half of the fleet is back and one of them free, a lease whose node is not is moved, and rightly so.
    const leased = leases.map((lease) => workerOf(fleet, lease));
    await Promise.all(leased.map((worker) => worker.start()));
    await eventually(
      async () => (await Promise.all(leased.map(({ name }) => system.node(name)))).every(({ status }) => status === 'alive'),
      { what: 'the leased ones are back' },
    );
    await Promise.all(fleet.workers.filter((worker) => !leased.includes(worker)).map((worker) => worker.start()));
    for (const { id } of leases) {
      await ada.untilLease(id, 'is active', ({ state }) => state === 'active');
    }
    await system.untilFree(NODES - leases.length);
    expect(await placesOf(leases)).toEqual(before);
    expect(await system.sql("SELECT id FROM events WHERE type = 'lease.moved'")).toEqual([]);
  }, 90_000);

  it('R20: a broken machine whose agent registers again and again is judged dead all the same', async () => {
    const [worker] = fleet.workers;
    if (!worker) {
      throw new Error('no worker');
    }
    const { id } = await system.node(worker.name);
    const events = async (type: string): Promise<number> =>
      (await system.sql('SELECT id FROM events WHERE type = ? AND node_id = ?', [type, id])).length;
    const deathsBefore = await events('node.dead');
    // Each registration brings a look at the node, and nothing else does (but the end of a pooled session, once).
    const lookAway = (): Promise<unknown> =>
      system.sql('UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR, probe_token = NULL WHERE id = ?', [id]);
    await lookAway();
    // Its sshd is gone for good.
    await inside(worker, 'echo Nonsense > /etc/ssh/sshd_config; kill $(pgrep -o -x sshd)');
    for (let looks = 0; looks < DEAD_AFTER && (await events('node.dead')) === deathsBefore; looks += 1) {
      await lookAway();
      const registered = await events('node.registered');
      await inside(worker, `${KILL_AGENT} || true`);
      await eventually(async () => (await events('node.registered')) > registered, {
        what: `${worker.name} registers again`,
        timeoutMs: 30_000,
      });
      const looked = async (): Promise<boolean> =>
        (await system.sql('SELECT id FROM nodes WHERE id = ? AND last_checked_at > registered_at', [id])).length > 0;
      await eventually(looked, { what: `${worker.name} is looked at`, timeoutMs: 30_000, everyMs: 20 });
    }
    expect(await events('node.dead')).toBe(deathsBefore + 1);
  }, 120_000);

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});

async function breakerGauge(system: System): Promise<string | undefined> {
  const metrics = await (await fetch(`${system.schedulers[0]?.url ?? ''}/metrics`)).text();
  return /^orion_migration_brake (\d+)/m.exec(metrics)?.[1];
}
