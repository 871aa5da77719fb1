import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, giveClock, machineClockEnv, type MachineClock, type Worker } from '../lab';
import { useSystem, useTenant } from '../support/hooks';

const HOURS = 3600;
const DAYS = 24 * HOURS;
/** A heartbeat, the scheduler's turn, a play, and how late libfaketime looks at its file. */
const WAIT_MS = 60_000;

describe('a machine whose clock is set while an account is there', () => {
  const system = useSystem({ apis: 1, schedulers: 1 });
  const ada = useTenant(system);
  let worker: Worker;
  let clock: MachineClock;

  beforeAll(async () => {
    worker = (await system.launchWorkers(1, { agentEnv: machineClockEnv() })).workers[0] as Worker;
    clock = await giveClock(worker);
    await system.untilFree(1);
  }, 90_000);

  const clockOf = async (): Promise<number> => Number((await worker.exec('date +%s')).stdout) - Date.now() / 1000;

  it.each([
    ['forward by two hours', 2 * HOURS],
    ['forward by a week', 7 * DAYS],
    ['back to the right time', 0],
    ['back by a week', -7 * DAYS],
  ])(
    '%s: the tenant can log in again soon, until the end and no longer, and the jump is on record',
    async (_what, offset) => {
      const before = await clockOf();
      const lease = await ada.rentOne({ seconds: 1800 });
      expect(await ada.login(lease, 'id -un')).toMatchObject({ code: 0 });
      await clock.set(offset);
      const jumps = (): Promise<{ data: { seconds: number } }[]> =>
        system.sql("SELECT data FROM events WHERE type = 'node.clock_jumped' AND lease_id = ?", [lease.id]);
      if (offset > before + HOURS) {
        const { code } = await ada.login(lease, 'true');
        // On a busy machine, the account may be in order again before this login.
        expect((await jumps()).length > 0 ? 255 : code).toBe(255);
      }
      await eventually(async () => (await jumps()).length > 0, { what: 'the jump is on record', timeoutMs: WAIT_MS });
      await eventually(async () => (await ada.login(lease, 'true')).code === 0, { what: 'the tenant can log in', timeoutMs: WAIT_MS });
      const account = lease.access?.username ?? '';
      const nodeNow = Date.now() / 1000 + offset;
      const end = nodeNow + (new Date(lease.ends_at).getTime() - Date.now()) / 1000;
      const [record, shadow, keys] = [
        JSON.parse((await worker.exec(`cat /var/lib/orion/accounts/${account}.json`)).stdout) as { ends_at: number },
        Number((await worker.exec(`getent shadow ${account} | cut -d: -f8`)).stdout),
        (await worker.exec(`grep -o 'expiry-time="[0-9]*' /var/lib/orion/keys/${account} | cut -d'"' -f2`)).stdout.trim(),
      ];
      const inKeys =
        Date.UTC(
          Number(keys.slice(0, 4)),
          Number(keys.slice(4, 6)) - 1,
          Number(keys.slice(6, 8)),
          Number(keys.slice(8, 10)),
          Number(keys.slice(10, 12)),
          Number(keys.slice(12, 14)),
        ) / 1000;
      expect({ record: Math.abs(record.ends_at - end) < 15, keys: Math.abs(inKeys - 60 - end) < 15, shadow }).toEqual({
        record: true,
        keys: true,
        shadow: Math.floor(record.ends_at / DAYS) + 2,
      });
      const [first] = await jumps();
      expect(Math.abs((first?.data.seconds ?? 0) - (offset - before))).toBeLessThan(15);
      expect(await jumps()).toHaveLength(1);
      expect(await ada.lease(lease.id)).toMatchObject({ state: 'active', generation: 1, ends_at: lease.ends_at });
      expect((await ada.lease(lease.id)).events.map(({ type }) => type)).toContain('node.clock_jumped');
      await ada.release(lease.id);
      await system.untilFree(1);
    },
    240_000,
  );

  it('an extension is no jump', async () => {
    const lease = await ada.rentOne({ seconds: 600 });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await ada.extend(lease.id, 1200);
    await new Promise((resolve) => setTimeout(resolve, 8000));
    expect(await system.sql("SELECT 1 FROM events WHERE type = 'node.clock_jumped' AND lease_id = ?", [lease.id])).toEqual([]);
  }, 60_000);
});
