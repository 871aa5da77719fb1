import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { fromJson } from '../../src/db/sql';
import { readStore } from '../checker/read-store';
import { eventually, untilHeld } from '../lab';
import type { Lease, LeaseDetail, Rented } from '../../src/contract';
import { expectStatus } from '../support/api-client';
import { close, useFleet, useForAll, useTenant } from '../support/hooks';
import { startSystem } from '../support/system';
import { workerOf } from './support/inside';
import { createStoreOfHomes } from './support/store';

const LIMIT_MS = 180_000;
const INTERVAL_SECONDS = 2;

describe('homes survive', () => {
  const store = useForAll(
    () => createStoreOfHomes(INTERVAL_SECONDS),
    (store) => store.remove(),
  );
  const system = useForAll(() => startSystem({ apis: 1, schedulers: 2, faults: { steps: true }, env: store.env }), close);
  const fleet = useFleet(system, 2);
  const ada = useTenant(system);

  const folderOf = ({ id }: Lease): string => join(store.folder, `lease-${id}`);
  /** Waits for a checkpoint that was begun after now. */
  const untilSaved = async (lease: Lease): Promise<LeaseDetail> => {
    const [clock] = await system.sql<{ now: Date }>('SELECT UTC_TIMESTAMP(3) AS now');
    return ada.untilLease(
      lease.id,
      'is saved',
      ({ checkpoint }) => new Date(checkpoint?.last_at ?? 0) > (clock?.now ?? new Date(0)),
      LIMIT_MS,
    );
  };
  const untilMoved = (lease: Lease): Promise<LeaseDetail> =>
    ada.untilLease(
      lease.id,
      'is active elsewhere',
      ({ state, generation, access }) => state === 'active' && generation > lease.generation && access !== null,
      LIMIT_MS,
    );
  const inHome = async (lease: Lease, command: string): Promise<string> => {
    const { code, stdout, stderr } = await ada.login(lease, command, { timeoutMs: 60_000 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout.trim();
  };
  const giveBack = async (lease: Lease): Promise<void> => {
    await ada.release(lease.id);
    await system.untilFree(fleet.workers.length, LIMIT_MS);
    await eventually(() => !existsSync(folderOf(lease)), { what: 'nothing of it is in the store', timeoutMs: 60_000 });
  };

  it(
    'a file from before the last checkpoint is there after kill -9 of the node, what was deleted is not, and the end is the same; after the release nothing is left',
    async () => {
      const lease = await ada.rentOne();
      await inHome(lease, 'mkdir -p work; echo early > early; echo kept > work/file; echo gone > deleted');
      await untilSaved(lease);
      await inHome(lease, 'rm deleted; echo more >> work/file');
      const saved = await untilSaved(lease);
      expect(saved.checkpoint).toMatchObject({ enabled: true, error: null });
      expect(readdirSync(folderOf(lease)).length).toBeGreaterThanOrEqual(1);

      const worker = workerOf(fleet, lease);
      await worker.kill();
      const moved = await untilMoved(lease);

      expect(moved.ends_at).toBe(lease.ends_at);
      expect(await inHome(moved, 'cat early work/file; ls; stat -c %U work/file')).toBe(
        `early\nkept\nmore\nearly\nwork\n${moved.access?.username ?? ''}`,
      );
      expect(moved.events).toContainEqual(expect.objectContaining({ type: 'checkpoint.restored' }));
      await worker.start();
      await giveBack(moved);
      const [removed] = await system.sql<{ data: unknown }>("SELECT data FROM events WHERE type = 'checkpoint.removed' AND lease_id = ?", [
        lease.id,
      ]);
      expect(fromJson<{ files: number }>(removed?.data).files).toBeGreaterThanOrEqual(1);
    },
    LIMIT_MS,
  );

  it(
    'a planned move takes along what was written just before it',
    async () => {
      const lease = await ada.rentOne();
      await untilSaved(lease);
      await inHome(lease, 'echo just-now > file');
      const nodeId = lease.node?.id ?? 0;
      expectStatus(await system.admin.post(`/api/nodes/${nodeId}/drain`, { move: true }), 200);
      const moved = await untilMoved(lease);
      expect(await inHome(moved, 'cat file')).toBe('just-now');
      expectStatus(await system.admin.post(`/api/nodes/${nodeId}/undrain`, {}), 200);
      await giveBack(moved);
    },
    LIMIT_MS,
  );

  it(
    'a scheduler that is killed once an archive is stored, before it could say so, leaves nothing but a checkpoint that is whole',
    async () => {
      const lease = await ada.rentOne();
      await untilSaved(lease);
      const controls = system.schedulers.flatMap(({ steps }) => (steps ? [steps] : []));
      const { index } = await untilHeld(controls, 'checkpoint.stored', LIMIT_MS);
      await system.schedulers[index]?.kill9();
      await inHome(lease, 'echo later > file');
      await untilSaved(lease);
      const known = async (): Promise<number> =>
        fromJson<unknown[]>(
          (await system.sql<{ archives: unknown }>('SELECT archives FROM checkpoints WHERE lease_id = ?', [lease.id]))[0]?.archives,
        ).length;
      await eventually(async () => readdirSync(folderOf(lease)).length === (await known()), {
        what: 'the store has what a restore takes, and no more',
        timeoutMs: 60_000,
      });
      await system.startScheduler();
      await giveBack(lease);
    },
    LIMIT_MS,
  );

  it(
    'a rent may do without',
    async () => {
      const [lease] = expectStatus(
        await ada.client.post<Rented>('/api/rent', { duration_minutes: 10, ssh_public_key: ada.publicKey, checkpoint: false }),
        201,
      ).leases;
      expect(lease?.checkpoint).toEqual({ enabled: false, last_at: null, age_seconds: null, bytes: 0, error: null });
      await ada.release(lease?.id ?? 0);
      await system.untilFree(2, LIMIT_MS);
    },
    LIMIT_MS,
  );

  it('I1–I10: after all this the checker finds nothing wrong, and nothing in the store', async () => {
    const stored = readStore(store.folder);
    expect(stored).toEqual([]);
    expect(await system.violations({ stored })).toEqual([]);
  });
});
