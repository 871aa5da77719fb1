import { describe, expect, it } from '@jest/globals';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokenLog, eventually } from '../lab';
import { startSystem, type System } from '../support/system';

async function playALease(system: System): Promise<void> {
  await system.launchWorkers(1);
  await system.untilFree(1, 60_000);
  const tenant = await system.tenant();
  const lease = await tenant.rentOne();
  expect((await tenant.login(lease, 'id -un')).stdout.trim()).toMatch(/^orn-/);
  await tenant.release(lease.id);
  await system.untilFree(1, 60_000);
}

describe('a control plane whose log cannot be written', () => {
  it.each<[BrokenLog]>([['full disk'], ['/dev/full'], ['unread pipe'], ['closed pipe'], ['stopped terminal']])(
    'starts and leases all the same: %s',
    async (log) => {
      const system = await startSystem({ apis: 1, schedulers: 1, faults: { log }, env: { LOG_LEVEL: 'debug' } });
      try {
        await playALease(system);
        expect([...system.apis, ...system.schedulers].map((replica) => replica.running())).toEqual([true, true]);
      } finally {
        await system.close();
      }
    },
    180_000,
  );

  it('goes on logging once there is room again, and reports how much is missing', async () => {
    const system = await startSystem({ apis: 1, schedulers: 0, faults: { log: 'full disk' }, env: { LOG_LEVEL: 'debug' } });
    const [api] = system.apis;
    try {
      rmSync(join(api?.disk ?? '', 'ballast'));
      const loss = (): { lines?: number } | undefined =>
        readFileSync(join(api?.disk ?? '', 'log'), 'utf8')
          .split('\n')
          .filter((line) => line.includes('log lines lost'))
          .map((line) => JSON.parse(line) as { lines: number })[0];
      await eventually(
        async () => {
          await system.nodes();
          return loss();
        },
        { what: 'the log goes on' },
      );
      expect(loss()?.lines).toBeGreaterThan(0);
    } finally {
      await system.close();
    }
  }, 60_000);
});
