import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, startProjectCaddy, type WorkerFleet } from '../lab';
import { useSystem, useTenant } from '../support/hooks';
import { tenantAccounts, untilNoAccount, workerOf } from './support/inside';

/** Nobody listens there: what the control plane knows of these machines leads nowhere. */
const NOWHERE = '127.0.99.99';

describe('a fleet that nobody can call', () => {
  const system = useSystem({ apis: 2, schedulers: 1 });
  let fleet: WorkerFleet;
  const ada = useTenant(system);

  beforeAll(async () => {
    const proxy = await startProjectCaddy(system.lab, system.apis);
    fleet = await system.launchWorkers(3, { endpoint: proxy.httpUrl, agentEnv: { MY_ADDRESS: NOWHERE } });
  }, 90_000);

  const tunnels = (): Promise<{ node_id: number; holder_id: string; token: string }[]> =>
    system.sql('SELECT node_id, holder_id, token FROM tunnels ORDER BY node_id');

  it('R4: such machines are verified, wiped and free, by way of the tunnels that they opened', async () => {
    await system.untilFree(3);
    const nodes = await system.nodes();
    expect(nodes.map(({ address, reach, status }) => ({ address, reach, status }))).toEqual(
      nodes.map(() => ({ address: NOWHERE, reach: 'tunnel', status: 'alive' })),
    );
  }, 60_000);

  it('R4: one is leased, used up to the end of the lease and wiped like any other', async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    expect(lease.access?.username).toMatch(/^orn-/);
    expect(await tenantAccounts(worker)).toEqual([lease.access?.username]);
    await ada.release(lease.id);
    await untilNoAccount(worker);
    await system.untilFree(3);
  }, 60_000);

  it('a machine that dies is found out and its lease moves to another, through the tunnels', async () => {
    const lease = await ada.rentOne();
    await workerOf(fleet, lease).kill();
    const moved = await ada.untilLease(
      lease.id,
      'is somewhere else',
      ({ generation, access }) => generation === 2 && access !== null,
      60_000,
    );
    expect(moved.ends_at).toBe(lease.ends_at);
    expect(await tenantAccounts(workerOf(fleet, moved))).toEqual([moved.access?.username]);
    await workerOf(fleet, lease).start();
    await ada.release(lease.id);
    await system.untilFree(3);
  }, 120_000);

  it('R36: the replica that holds them stops or dies: they come back elsewhere, and no machine is suspected', async () => {
    const [{ n: before } = { n: 0 }] = await system.sql<{ n: number }>("SELECT COUNT(*) AS n FROM events WHERE type = 'node.dead'");
    const lease = await ada.rentOne();
    for (const [end, replica] of [
      ['stop', system.apis[1]],
      ['kill9', system.apis[0]],
    ] as const) {
      const earlier = await tunnels();
      expect(earlier).toHaveLength(3);
      await replica?.[end]();
      await system.startApi({ port: Number(new URL(replica?.url ?? '').port) });
      const held = await system.sql<{ id: string }>('SELECT id FROM tunnel_holders WHERE expires_at > UTC_TIMESTAMP(3)');
      expect(held.length).toBeGreaterThan(0);
      await eventually(
        async () => {
          const [{ n } = { n: 0 }] = await system.sql<{ n: number }>(
            'SELECT COUNT(*) AS n FROM tunnels t JOIN tunnel_holders h ON h.id = t.holder_id AND h.expires_at > UTC_TIMESTAMP(3)',
          );
          return n === 3;
        },
        { what: 'every machine has a tunnel', timeoutMs: 30_000 },
      );
      await system.untilFree(2);
    }
    expect((await ada.lease(lease.id)).generation).toBe(1);
    await ada.release(lease.id);
    await system.untilFree(3);
    const [{ n: after } = { n: 0 }] = await system.sql<{ n: number }>("SELECT COUNT(*) AS n FROM events WHERE type = 'node.dead'");
    expect(after).toBe(before);
  }, 90_000);
});
