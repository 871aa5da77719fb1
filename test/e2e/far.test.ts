import { beforeAll, describe, expect, it } from '@jest/globals';
import { startRelay } from '../lab';
import type { Lease, LeaseDetail } from '../../src/contract';
import { expectStatus } from '../support/api-client';
import { close, useFleet, useForAll, useTenant } from '../support/hooks';
import { startSystem } from '../support/system';
import { tracesOf, workerOf } from './support/inside';
import { createStoreOfHomes } from './support/store';

const LIMIT_MS = 180_000;
/** Each way: a round trip is that of a machine on another continent. */
const DELAY_MS = 75;

describe('machines that are far away', () => {
  const store = useForAll(
    () => createStoreOfHomes(2),
    (store) => store.remove(),
  );
  const system = useForAll(() => startSystem({ apis: 1, schedulers: 2, env: store.env }), close);
  const fleet = useFleet(system, 2);
  const ada = useTenant(system);

  beforeAll(async () => {
    for (const { name, address, port } of fleet.workers) {
      const far = await startRelay(system.lab, { at: { host: '127.0.0.1', port: 0 }, to: { host: address, port }, delayMs: DELAY_MS });
      await system.sql('UPDATE nodes SET address = ?, ssh_port = ? WHERE hostname = ?', [far.host, far.port, name]);
    }
  }, LIMIT_MS);

  const inHome = async (lease: Lease, command: string): Promise<string> => {
    const { code, stdout, stderr } = await ada.login(lease, command, { timeoutMs: 60_000 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout.trim();
  };
  const untilSaved = async (lease: Lease): Promise<void> => {
    const [clock] = await system.sql<{ now: Date }>('SELECT UTC_TIMESTAMP(3) AS now');
    await ada.untilLease(
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

  it(
    'are rented, saved, left for another one that gets all of the home, and wiped',
    async () => {
      const lease = await ada.rentOne();
      const [worker, uid] = [workerOf(fleet, lease), await inHome(lease, 'id -u')];
      await inHome(lease, 'echo little > orion-mark; crontab -l 2>/dev/null; (setsid sleep 1000 >/dev/null 2>&1 &)');
      await untilSaved(lease);

      expectStatus(await system.admin.post(`/api/nodes/${lease.node?.id ?? 0}/drain`, { move: true }), 200);
      const moved = await untilMoved(lease);
      expect(moved.ends_at).toBe(lease.ends_at);
      expect(moved.events).toContainEqual(expect.objectContaining({ type: 'checkpoint.restored' }));
      expect(await inHome(moved, 'cat orion-mark')).toBe('little');
      expectStatus(await system.admin.post(`/api/nodes/${lease.node?.id ?? 0}/undrain`, {}), 200);
      await system.untilFree(1, LIMIT_MS);
      expect(await tracesOf(worker, { uid: Number(uid), username: lease.access?.username ?? '', mark: 'orion-mark' })).toBe('');

      await untilSaved(moved);
      await workerOf(fleet, moved).kill();
      const back = await untilMoved(moved);
      expect(back).toMatchObject({ ends_at: lease.ends_at, node: { id: lease.node?.id } });
      expect(await inHome(back, 'cat orion-mark')).toBe('little');
      await workerOf(fleet, moved).start();
      await ada.release(back.id);
      await system.untilFree(2, LIMIT_MS);
    },
    LIMIT_MS,
  );

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});
