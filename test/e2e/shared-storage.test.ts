import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, type Worker } from '../lab';
import type { Lease } from '../../src/contract';
import { useFleet, useSystem } from '../support/hooks';
import { mountShared } from '../support/shared-mount';

/**
 * Machines that never were in a fleet, as in the field. The kernel keeps keys by uid for all workers of all runs: the fleet's range is this
 * run's own.
 */
const FIRST_UID = 1_985_000_000 + (process.pid % 30_000) * 400;

describe('two machines that mount one file system', () => {
  const system = useSystem({ apis: 1, schedulers: 1, env: { ORION_UID_RANGE: `${FIRST_UID}-2000000000` } });
  const fleet = useFleet(system, 2);
  let folder: string;
  const uidOf = async ({ id }: Lease): Promise<number> =>
    (await system.sql<{ uid: number }>('SELECT uid FROM placements WHERE current_lease_id = ?', [id]))[0]?.uid ?? 0;
  const workerOf = ({ node }: Lease): Worker => {
    const worker = fleet.workers.find(({ name }) => name === node?.hostname);
    if (!worker) {
      throw new Error(`no worker ${node?.hostname ?? ''}`);
    }
    return worker;
  };

  beforeAll(async () => {
    folder = join(system.lab.dir, 'scratch');
    mkdirSync(folder);
    for (const worker of fleet.workers) {
      await mountShared(system.lab, worker, { folder, point: '/scratch' });
      await worker.exec('chmod 1777 /scratch; rm /var/lib/orion/fence');
    }
    await system.sql('DELETE FROM uid_blocks');
    await system.sql('UPDATE nodes SET next_uid = ?, uid_end = NULL, dirty = 1, wipe_due_at = UTC_TIMESTAMP(3)', [FIRST_UID]);
    await system.untilFree(2, 60_000);
  }, 150_000);

  it("give their tenants different uids: neither reads what the other keeps there, and the end of one lease leaves the other's files", async () => {
    const [ada, bob] = [await system.tenant(), await system.tenant()];
    const [one, other] = [await ada.rentOne(), await bob.rentOne()];
    expect(workerOf(one).name).not.toBe(workerOf(other).name);
    const uids = [await uidOf(one), await uidOf(other)];
    expect(new Set(uids.map((uid) => Math.floor(uid / 64))).size).toBe(2);
    expect((await ada.login(one, 'umask 077; echo secret > /scratch/one')).code).toBe(0);
    expect((await bob.login(other, 'umask 077; echo live > /scratch/other')).code).toBe(0);
    expect(await bob.login(other, 'cat /scratch/one')).toMatchObject({ code: 1, stderr: expect.stringContaining('Permission denied') });
    expect((await ada.lease(one.id)) as object).toMatchObject({ shared_storage: [{ path: '/scratch', type: 'fuse.shared' }] });

    await ada.release(one.id);
    await system.untilFree(1, 60_000);
    expect(await bob.login(other, 'cat /scratch/other')).toMatchObject({ code: 0, stdout: 'live\n' });
    expect(statSync(join(folder, 'one')).uid).toBe(uids[0]);
    const next = await ada.rentOne();
    expect(await uidOf(next)).toBeGreaterThan(uids[0] ?? Infinity);
    expect(await ada.login(next, 'cat /scratch/one')).toMatchObject({ code: 1 });
    for (const lease of [next, other]) {
      await (lease === next ? ada : bob).release(lease.id);
    }
    await system.untilFree(2, 60_000);
    expect(await system.violations()).toEqual([]);
  }, 150_000);

  it('are not leased when their operator does not want it, and again when they do', async () => {
    const [{ id, hostname } = { id: 0, hostname: '' }] = await system.nodes();
    await system.admin.post(`/api/nodes/${id}/shared-storage`, { policy: 'refuse' });
    const state = async (): Promise<Record<string, unknown>> => await system.node(hostname);
    await eventually(async () => (await state())['withheld_reason'] !== null, { what: 'the node has a reason', timeoutMs: 30_000 });
    expect(await state()).toMatchObject({
      free: false,
      status: 'alive',
      withheld_reason: 'it has shared storage, which its policy refuses: /scratch (fuse.shared)',
    });
    await system.admin.post(`/api/nodes/${id}/shared-storage`, { policy: 'allow' });
    await system.untilFree(2, 30_000);
  }, 90_000);
});
