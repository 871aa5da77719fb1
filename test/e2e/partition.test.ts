import { describe, expect, it } from '@jest/globals';
import { eventually, type Cut, type Worker } from '../lab';
import type { Lease } from '../../src/contract';
import { useFleet, useSystem, useTenant } from '../support/hooks';
import { inside, tenantAccounts, workerOf } from './support/inside';
import { watchLogins } from './support/logins';

const LIMIT_SECONDS = 5;
/** A look of the agent, and what holding takes on a machine that is busy with other tests. */
const LATE_SECONDS = 2.5;
/** Three silent probes and the pauses between them. */
const DEATH_SECONDS = 3 * 2.5 + 2 * 0.8;
/** docs/reliability.md: how long two nodes may take the login of one lease. */
const OVERLAP_SECONDS = Math.max(0, LIMIT_SECONDS + LATE_SECONDS - DEATH_SECONDS);
const WAIT_MS = 90_000;

/** The time in milliseconds, ten times a second. */
const JOB = "nohup setsid sh -c 'while :; do echo $$ $(date +%s%3N); sleep 0.1; done >> job.log' >/dev/null 2>&1 & true";

describe('a node that is cut off but alive', () => {
  const system = useSystem({ apis: 1, schedulers: 1, env: { ORION_CONTACT_LIMIT_SECONDS: String(LIMIT_SECONDS) } });
  const fleet = useFleet(system, 2, { network: 'routed' });
  const ada = useTenant(system);

  const lastOfJob = async (worker: Worker, user: string): Promise<{ pid: number; atMs: number }> => {
    const [pid = NaN, atMs = NaN] = (await inside(worker, `tail -n 1 /home/${user}/job.log`)).split(' ').map(Number);
    return { pid, atMs };
  };
  const rentWithJob = async (): Promise<{ lease: Lease; worker: Worker; user: string }> => {
    const lease = await ada.rentOne();
    expect((await ada.login(lease, JOB)).code).toBe(0);
    return { lease, worker: workerOf(fleet, lease), user: lease.access?.username ?? '' };
  };

  const untilLoginSeen = async (worker: Worker): Promise<void> => {
    await eventually(async () => (await inside(worker, 'cat /root/logins')) !== '', { what: 'a login was seen', timeoutMs: WAIT_MS });
  };

  it.each<Cut>(['both', 'in', 'out'])(
    'I2/I6: holds its tenant before the lease runs elsewhere (%s), and is wiped before it is free',
    async (cut) => {
      const { lease, worker, user } = await rentWithJob();
      const other = fleet.workers.find((each) => each !== worker) as Worker;
      const [before, after] = await Promise.all([watchLogins(worker, ada.keyFile), watchLogins(other, ada.keyFile)]);
      const session = await ada.openSession(lease);
      await untilLoginSeen(worker);

      await worker.cut(cut);
      const moved = await ada.untilLease(
        lease.id,
        'is active elsewhere',
        ({ state, generation }) => state === 'active' && generation === 2,
        WAIT_MS,
      );
      expect(moved).toMatchObject({ ends_at: lease.ends_at, node: { hostname: other.name } });
      expect((await ada.login(moved, 'true')).code).toBe(0);
      await untilLoginSeen(other);

      const [old, next] = [await before.taken(), await after.taken()];
      const overlapSeconds = ((old?.lastMs ?? NaN) - (next?.firstMs ?? NaN)) / 1000;
      const workedOnSeconds = ((await lastOfJob(worker, user)).atMs - (next?.firstMs ?? NaN)) / 1000;
      process.stdout.write(
        `cut ${cut}: both nodes took the login for ${overlapSeconds} s, the old job ran beside the new account for ${workedOnSeconds} s (less than 0: a gap)\n`,
      );
      expect(overlapSeconds).toBeLessThanOrEqual(OVERLAP_SECONDS);
      expect(workedOnSeconds).toBeLessThanOrEqual(OVERLAP_SECONDS);
      expect(await tenantAccounts(worker)).toEqual([user]);

      await worker.mend();
      await system.untilFree(1, WAIT_MS);
      expect(await tenantAccounts(worker)).toEqual([]);
      expect((await ada.lease(lease.id)).placements.map(({ generation, state }) => [generation, state])).toEqual([
        [1, 'wiped'],
        [2, 'present'],
      ]);
      session.close();
      await ada.release(lease.id);
      await system.untilFree(2, WAIT_MS);
    },
    4 * WAIT_MS,
  );

  it(
    'I8: an outage of the control plane alone holds the tenant for its time, and costs nobody his work',
    async () => {
      const { lease, worker, user } = await rentWithJob();
      const { pid } = await lastOfJob(worker, user);
      const replicas = [...system.apis, ...system.schedulers];
      replicas.forEach((replica) => replica.pause());
      await eventually(async () => (await inside(worker, `cat /var/lib/orion/accounts/${user}.json`)).includes('"held":true'), {
        what: 'the account is held',
        timeoutMs: WAIT_MS,
      });
      await eventually(async () => (await ada.login(lease, 'true')).code === 255, { what: 'no login any more', timeoutMs: WAIT_MS });
      const frozen = await lastOfJob(worker, user);

      replicas.forEach((replica) => replica.resume());
      await eventually(async () => (await ada.login(lease, 'true')).code === 0, { what: 'a login again', timeoutMs: WAIT_MS });
      await eventually(async () => (await lastOfJob(worker, user)).atMs > frozen.atMs, { what: 'the job goes on', timeoutMs: WAIT_MS });
      expect((await lastOfJob(worker, user)).pid).toBe(pid);
      expect(await ada.lease(lease.id)).toMatchObject({ state: 'active', generation: 1, ends_at: lease.ends_at });
      expect(await system.sql('SELECT id FROM events WHERE type = ? AND lease_id = ?', ['lease.moved', lease.id])).toEqual([]);
      await ada.release(lease.id);
      await system.untilFree(2, WAIT_MS);
    },
    4 * WAIT_MS,
  );

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});
