import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, type Worker } from '../lab';
import type { Lease, LeaseDetail, NodeForAdmin } from '../../src/contract';
import { expectStatus } from '../support/api-client';
import { useForAll, useSystem, useTenant } from '../support/hooks';
import { agentLog, inside, KILL_AGENT, tenantAccounts, untilNoAccount, workerOf } from './support/inside';

const WORKERS = 3;

describe('the system heals itself', () => {
  const system = useSystem({ apis: 1, schedulers: 2 });
  const fleet = useForAll(async () => {
    // As many uses as there are machines, the one that joins later included.
    const token = await system.admin.post<{ token: string }>('/api/tokens', { name: 'counted', max_uses: WORKERS + 1 });
    return system.launchWorkers(WORKERS, { joinToken: expectStatus(token, 201).token });
  });
  const ada = useTenant(system);

  beforeAll(() => system.untilFree(WORKERS), 90_000);

  const untilNode = (worker: Worker, what: string, is: (node: NodeForAdmin) => boolean, timeoutMs = 30_000): Promise<NodeForAdmin> =>
    eventually(
      async () => {
        const node = await system.node(worker.name);
        if (!is(node)) {
          throw new Error(`it is ${node.status} (${node.status_reason ?? ''}), dirty ${node.dirty}, free ${node.free}`);
        }
        return node;
      },
      { what: `${worker.name} ${what}`, timeoutMs, everyMs: 50 },
    );
  const untilMoved = (lease: Lease): Promise<LeaseDetail> =>
    ada.untilLease(
      lease.id,
      'is active elsewhere',
      ({ state, generation, access }) => state === 'active' && generation > lease.generation && access !== null,
    );
  const giveBack = async (...leases: Lease[]): Promise<void> => {
    await Promise.all(leases.map(({ id }) => ada.release(id)));
    await system.untilFree(fleet.workers.length);
  };
  /** Takes every other node, so that a quarantined one is all that is left. */
  const rentAllButOne = (): Promise<Lease[]> => Promise.all(Array.from({ length: fleet.workers.length - 2 }, () => ada.rentOne()));

  it('R20/R21/R23: a lease moves from a killed node with the same end and key; the node is wiped of the old account when it returns, before it is free', async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    expect((await ada.login(lease, 'echo mine > file')).code).toBe(0);

    await worker.kill();
    const moved = await untilMoved(lease);

    expect(moved).toMatchObject({ id: lease.id, ends_at: lease.ends_at, generation: 2 });
    expect(moved.node?.id).not.toBe(lease.node?.id);
    expect((await ada.login(moved, 'id -un')).stdout.trim()).toBe(moved.access?.username);
    const failures = await system.sql<{ data: string }>("SELECT data FROM events WHERE type = 'node.dead' AND node_id = ?", [
      lease.node?.id ?? 0,
    ]);
    expect(failures).toHaveLength(1);
    const [row] = await system.sql<{ n: number }>('SELECT probe_failures AS n FROM nodes WHERE id = ?', [lease.node?.id ?? 0]);
    expect(row?.n).toBeGreaterThanOrEqual(3);

    await worker.start();
    expect(await tenantAccounts(worker)).toEqual([lease.access?.username]);
    await untilNode(worker, 'is free again', ({ free }) => free);
    expect(await tenantAccounts(worker)).toEqual([]);
    expect(await inside(worker, 'ls /home')).not.toContain('orn-');
    expect((await ada.lease(lease.id)).placements.map(({ generation, state }) => [generation, state])).toEqual([
      [1, 'wiped'],
      [2, 'present'],
    ]);
    await giveBack(moved);
  }, 90_000);

  it('R20/R21: a frozen node is judged dead and its lease moves; thawed, it is wiped', async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    await worker.freeze();
    const moved = await untilMoved(lease);
    expect(moved).toMatchObject({ ends_at: lease.ends_at, generation: 2 });
    expect((await ada.login(moved, 'true')).code).toBe(0);

    await worker.thaw();
    await untilNode(worker, 'is free again', ({ free }) => free);
    await untilNoAccount(worker);
    await giveBack(moved);
  }, 90_000);

  it('R20: a node whose agent alone has died stays alive, keeps its lease and can be leased', async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    const deaf = fleet.workers.find((other) => other !== worker);
    if (!deaf) {
      throw new Error('no second worker');
    }
    for (const each of [worker, deaf]) {
      // Its init would start it again at once.
      await inside(each, `mv /etc/orion/agent.env /etc/orion/agent.off; ${KILL_AGENT}`);
    }
    const silent = async (): Promise<boolean> => {
      const rows = await system.sql<{ n: number }>(
        'SELECT COUNT(*) AS n FROM nodes JOIN heartbeats h ON node_id = id WHERE h.last_heartbeat_at < UTC_TIMESTAMP(3) - INTERVAL 7 SECOND AND last_checked_at > UTC_TIMESTAMP(3) - INTERVAL 2 SECOND',
      );
      return rows[0]?.n === 2;
    };
    await eventually(silent, {
      what: 'both agents are silent beyond the limit, and the nodes were looked at since',
      timeoutMs: 20_000,
      everyMs: 100,
    });
    await untilNode(worker, 'is alive', ({ status }) => status === 'alive');
    await untilNode(deaf, 'is alive and free', ({ status, free }) => status === 'alive' && free);
    const others = await Promise.all(Array.from({ length: WORKERS - 1 }, () => ada.rentOne()));
    expect(others.map(({ node }) => node?.hostname)).toContain(deaf.name);
    expect(await ada.lease(lease.id)).toMatchObject({ state: 'active', generation: 1 });
    expect((await ada.login(lease, 'true')).code).toBe(0);

    for (const each of [worker, deaf]) {
      await inside(each, 'mv /etc/orion/agent.off /etc/orion/agent.env');
      await each.stop();
      await each.start();
    }
    await giveBack(lease, ...others);
  }, 90_000);

  it('R21: without a spare node a lease waits, and says so, until a machine joins', async () => {
    const leases = await Promise.all(Array.from({ length: WORKERS }, () => ada.rentOne()));
    const [lease] = leases;
    if (!lease) {
      throw new Error('no lease');
    }
    const worker = workerOf(fleet, lease);
    await worker.kill();
    const waiting = await ada.untilLease(lease.id, 'waits', ({ waiting_since: since }) => since !== null);
    expect(waiting).toMatchObject({ state: 'migrating', ends_at: lease.ends_at, generation: 1, access: null });
    expect(waiting.events.map(({ type }) => type)).toContain('lease.waiting');

    const [joined] = await fleet.add(1);
    const moved = await untilMoved(lease);
    expect(moved).toMatchObject({ ends_at: lease.ends_at, waiting_since: null, node: { hostname: joined?.name } });
    expect((await ada.login(moved, 'true')).code).toBe(0);
    await worker.start();
    await giveBack(...leases);
    await untilNode(worker, 'is free', ({ free }) => free);
  }, 90_000);

  it('trust: a machine whose host key changed is quarantined and never leased until an operator approves that very key', async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    await worker.kill();
    await worker.start();
    await inside(worker, 'rm /etc/ssh/ssh_host_ed25519_key*');
    await worker.kill();
    await worker.start();

    const quarantined = await untilNode(
      worker,
      'is quarantined and offers its new key',
      (node) => node.status === 'quarantined' && node.offered_host_key_fingerprint !== null,
    );
    const moved = await untilMoved(lease);
    expect(moved).toMatchObject({ ends_at: lease.ends_at, generation: 2 });
    const others = await rentAllButOne();
    expect((await ada.rent()).status).toBe(503);

    const approve = (named: string): Promise<{ status: number }> =>
      system.admin.post(`/api/nodes/${quarantined.id}/approve`, { host_key_fingerprint: named });
    expect((await approve('SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')).status).toBe(409);
    expect(await system.node(worker.name)).toMatchObject({ status: 'quarantined', free: false });
    expect((await approve(await fingerprintOf(worker))).status).toBe(200);
    await untilNode(worker, 'is free after the approval', ({ free }) => free);
    await giveBack(moved, ...others);
  }, 90_000);

  it('trust: a machine that comes back empty is not taken for the one it was: the node is quarantined, its lease moves, and the used-up token lets nobody in', async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    await worker.kill();
    await worker.start({ fresh: true });

    await untilNode(worker, 'is quarantined', ({ status }) => status === 'quarantined');
    const moved = await untilMoved(lease);
    await eventually(() => agentLog(worker).includes('used up'), {
      what: 'the agent was told that its token is used up',
      timeoutMs: 15_000,
    });
    const others = await rentAllButOne();
    expect((await ada.rent()).status).toBe(503);
    expect((await system.nodes()).filter(({ hostname }) => hostname === worker.name)).toMatchObject([
      { status: 'quarantined', free: false },
    ]);
    await Promise.all([moved, ...others].map(({ id }) => ada.release(id)));
    await system.untilFree(fleet.workers.length - 1);
  }, 90_000);

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});

async function fingerprintOf(worker: Worker): Promise<string> {
  const line = await inside(worker, 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub');
  return line.split(' ')[1] ?? '';
}
