import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, type Worker } from '../../lab';
import { inside, tenantAccounts, tracesOf, workerOf } from '../../e2e/support/inside';
import type { Lease, LeaseDetail } from '../../../src/contract';
import { expectStatus } from '../../support/api-client';
import { useFleet, useSystem, useTenant } from '../../support/hooks';
import type { OpenSession, Tenant } from '../../support/tenant';
import { runScript } from './support';

const PATIENCE_MS = 120_000;

/**
 * The machines know more than a database that is put back. In the backup: ada's lease, which goes on, and carol's, which is released after
 * it. After the backup: bob signs up and rents two machines, one that was free in the backup, and one that was carol's.
 */
describe('after the restore of an older state', () => {
  const system = useSystem({ apis: 1, schedulers: 1 });
  const fleet = useFleet(system, 3);
  const ada = useTenant(system, 'ada');
  const carol = useTenant(system, 'carol');
  let bob: Tenant;
  let adas: Lease;
  let carols: Lease;
  /** When all has come to rest. */
  let carolsNow: LeaseDetail;
  let bobs: Lease[];
  let adasSession: OpenSession;
  let bobsSessions: OpenSession[];
  let uids: { node_id: number; username: string; uid: number }[];

  /** The worker that was free in the backup, and bob's afterwards. */
  let formerlyFree: Worker;
  const workerOfAda = (): Worker => workerOf(fleet, adas);
  const workerOfCarol = (): Worker => workerOf(fleet, carols);

  beforeAll(async () => {
    [adas, carols] = [await ada.rentOne(), await carol.rentOne()];
    adasSession = await ada.openSession(adas);
    formerlyFree = fleet.workers.find((worker) => worker !== workerOfAda() && worker !== workerOfCarol()) as Worker;

    const backup = join(system.lab.dir, 'backup.sql.gz');
    expect(await runScript('backup.sh', [backup], system.access)).toMatchObject({ code: 0 });

    await carol.release(carols.id);
    await system.untilFree(2, PATIENCE_MS);
    bob = await system.tenant('bob');
    bobs = expectStatus(await bob.rent({ count: 2 }), 201).leases;
    for (const lease of bobs) {
      expect((await bob.login(lease, 'touch /tmp/bobs-mark; (sleep 999 >/dev/null 2>&1 &)')).code).toBe(0);
    }
    bobsSessions = await Promise.all(bobs.map((lease) => bob.openSession(lease)));
    uids = await system.sql('SELECT node_id, username, uid FROM placements');

    const port = Number(new URL(system.admin.url).port);
    await Promise.all([...system.apis, ...system.schedulers].map((replica) => replica.stop(60_000)));
    expect(await runScript('restore.sh', ['--force', backup], system.access)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('3 nodes to verify, 2 leases that go on'),
    });
    await system.startApi({ port });
    await system.startScheduler();
    await carol.untilLease(
      carols.id,
      'is there again, elsewhere',
      ({ state, generation }) => state === 'active' && generation === 2,
      PATIENCE_MS,
    );
    await system.untilFree(1, PATIENCE_MS);
    carolsNow = await carol.lease(carols.id);
  }, 400_000);

  it('I3, I8: the lease that the backup knows goes on where it was, its session uncut, its end the same', async () => {
    const lease = await ada.untilLease(adas.id, 'is active', ({ state }) => state === 'active');
    expect(lease).toMatchObject({ id: adas.id, ends_at: adas.ends_at, generation: 1, node: { id: adas.node?.id } });
    expect(lease.access?.username).toBe(adas.access?.username);
    expect(adasSession.isOpen()).toBe(true);
    expect((await ada.login(lease, 'id -un')).stdout.trim()).toBe(adas.access?.username);
    expect(await tenantAccounts(workerOfAda())).toEqual([adas.access?.username]);
  }, 30_000);

  it('I7: accounts of leases that it does not know are gone, with all that they left', async () => {
    await eventually(() => bobsSessions.every((session) => !session.isOpen()), { what: 'bob is out' });
    for (const lease of bobs) {
      const own = uids.find(({ username }) => username === lease.access?.username);
      expect(await tracesOf(workerOf(fleet, lease), { uid: own?.uid ?? 0, username: own?.username ?? '', mark: 'bobs-mark' })).toBe('');
    }
    expect(await inside(workerOfCarol(), 'ls /home')).not.toContain('orn-');
  }, 30_000);

  it('I5, I6: nobody got a node before it was wiped, and no uid is used twice', async () => {
    const nodeId = carolsNow.node?.id ?? 0;
    expect(workerOf(fleet, carolsNow)).toBe(formerlyFree);
    const story = await system.sql<{ type: string }>(
      "SELECT type FROM events WHERE id > (SELECT MAX(id) FROM events WHERE type = 'fleet.restored') AND node_id = ? AND type IN ('node.wiped','lease.moved') ORDER BY id",
      [nodeId],
    );
    expect(story.map(({ type }) => type)).toEqual(['node.wiped', 'lease.moved']);
    const [now] = await system.sql<{ uid: number }>('SELECT uid FROM placements WHERE current_lease_id = ?', [carols.id]);
    expect(now?.uid).toBeGreaterThan(Math.max(...uids.filter(({ node_id: id }) => id === nodeId).map(({ uid }) => uid)));
    expect(await tenantAccounts(formerlyFree)).toEqual([carolsNow.access?.username]);
  }, 30_000);

  it('I4: a lease that came back to life has its old end, on another node: its old one had been wiped and refuses it', async () => {
    expect(carolsNow).toMatchObject({ ends_at: carols.ends_at });
    expect(carolsNow.placements.map(({ state }) => state)).toEqual(['wiped', 'present']);
    expect((await carol.login(carolsNow, 'id -un')).stdout.trim()).toBe(carolsNow.access?.username);
    const [old] = await system.sql<{ status: string; provision_failures: number }>(
      'SELECT status, provision_failures FROM nodes WHERE id = ?',
      [carols.node?.id ?? 0],
    );
    expect(old).toEqual({ status: 'alive', provision_failures: 0 });
  }, 30_000);

  it("R10: the token of a user whom it does not know is nobody's, also when somebody signs up after that", async () => {
    const dan = await system.tenant('dan');
    expect(dan.userId).not.toBe(bob.userId);
    expect((await bob.client.get('/api/me')).status).toBe(401);
  }, 30_000);

  it('no invariant is broken', async () => {
    expect(await system.violations()).toEqual([]);
  });
});
