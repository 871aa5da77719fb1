import { describe, expect, it } from '@jest/globals';
import { eventually, type OrionProcess, run, type Worker } from '../lab';
import type { Lease } from '../../src/contract';
import { expectStatus } from '../support/api-client';
import { useFleet, useSystem, useTenant } from '../support/hooks';
import { fastConstants, type System } from '../support/system';
import { tenantAccounts, workerOf } from './support/inside';

const WORKERS = 3;

describe('parts of the control plane die in the middle of their work', () => {
  // Plays that take long enough to be met half way.
  const system = useSystem({
    apis: 2,
    schedulers: 2,
    ownDatabase: true,
    env: { ...fastConstants({ claimSeconds: 3 }), ORION_WARM_PLAYS: 'false' },
  });
  const fleet = useFleet(system, WORKERS);
  const ada = useTenant(system);

  const running = (all: OrionProcess[]): OrionProcess[] => all.filter((each) => each.running());
  const secondApi = (): OrionProcess => lastOf(running(system.apis));
  const giveBack = async (...leases: { id: number }[]): Promise<void> => {
    await Promise.all(leases.map(({ id }) => ada.release(id)));
    await system.untilFree(WORKERS);
    expect((await Promise.all(fleet.workers.map((worker) => tenantAccounts(worker)))).flat()).toEqual([]);
  };
  /** The scheduler that has a play under way right now. */
  const untilPlaying = (what: string): Promise<OrionProcess> =>
    eventually(
      async () => {
        for (const scheduler of running(system.schedulers)) {
          if ((await run('pgrep', ['-P', String(scheduler.pid), '-f', 'ansible-playbook'])).code === 0) {
            return scheduler;
          }
        }
        return undefined;
      },
      { what, timeoutMs: 20_000, everyMs: 10 },
    );
  const untilCreating = (): Promise<{ lease_id: number }> =>
    eventually(
      async () =>
        (await system.sql<{ lease_id: number }>("SELECT lease_id FROM placements WHERE state = 'creating' AND claim_token IS NOT NULL"))[0],
      {
        what: 'a lease is committed and its account is being made',
        everyMs: 5,
      },
    );

  it('I3: an API that dies right after the lease was committed leaves it to a scheduler; the repetition at another replica gets the same lease', async () => {
    const dying = secondApi();
    const answer = ada.rent({ key: 'dying-api', at: dying.url }).then(
      () => 'answered',
      () => 'cut',
    );
    const { lease_id: leaseId } = await untilCreating();
    await dying.kill9();
    expect(await answer).toBe('cut');

    const again = expectStatus(await ada.rent({ key: 'dying-api' }), 200, 202);
    expect(again.leases.map(({ id }) => id)).toEqual([leaseId]);
    const lease = await ada.untilLease(leaseId, 'is active', ({ state }) => state === 'active');
    expect(lease).toMatchObject({ generation: 1 });
    expect(lease.events.find(({ type }) => type === 'lease.active')?.actor).toBe('scheduler');
    expect((await ada.login(lease, 'true')).code).toBe(0);
    expect(await tenantAccounts(workerOf(fleet, lease))).toEqual([lease.access?.username]);
    await system.startApi();
    await giveBack(lease);
  }, 60_000);

  it("R21: a scheduler that dies while it makes a moved lease's account is followed by the other", async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    await worker.kill();
    const dying = await untilPlaying('a moved lease is being provisioned');
    await dying.kill9();
    expect((await ada.lease(lease.id)).state).toBe('migrating');

    const moved = await ada.untilLease(lease.id, 'is active elsewhere', ({ state, generation }) => state === 'active' && generation === 2);
    expect(moved).toMatchObject({ ends_at: lease.ends_at });
    expect((await ada.login(moved, 'true')).code).toBe(0);
    expect(await tenantAccounts(workerOf(fleet, moved))).toEqual([moved.access?.username]);
    await worker.start();
    await system.startScheduler();
    await giveBack(moved);
  }, 60_000);

  it('R25/I9: a scheduler that dies in the middle of a wipe is followed by the other', async () => {
    const lease = await ada.rentOne();
    await ada.release(lease.id);
    const dying = await untilPlaying('the wipe is under way');
    await dying.kill9();
    expect((await system.node(lease.node?.hostname ?? '')).free).toBe(false);
    await ada.untilLease(lease.id, 'has ended', ({ state }) => state === 'ended');
    await system.startScheduler();
    await giveBack();
  }, 60_000);

  it('R36: an API that is told to stop in the middle of a rent turns unready first, answers the rent and ends with 0', async () => {
    const stopping = secondApi();
    const answer = ada.rent({ at: stopping.url });
    await untilCreating();
    const stopped = stopping.stop(30_000);
    await eventually(async () => (await fetch(`${stopping.url}/readyz`)).status === 503, {
      what: 'it says that it is not ready',
      everyMs: 10,
      timeoutMs: 2_000,
    });
    const [lease] = expectStatus(await answer, 201).leases;
    // The client keeps its connection; that is no reason to stay.
    await eventually(() => !stopping.running(), { what: 'the API has stopped', timeoutMs: 8_000 });
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect(lease && (await ada.login(lease, 'true')).code).toBe(0);
    await system.startApi();
    await giveBack(lease as Lease);
  }, 60_000);

  it('R36: a scheduler that is told to stop in the middle of a wipe finishes it and ends with 0', async () => {
    const lease = await ada.rentOne();
    await ada.release(lease.id);
    const stopping = await untilPlaying('the wipe is under way');
    expect(await stopping.stop(60_000)).toEqual({ code: 0, signal: null });
    expect(stopping.log()).toContain('node wiped');
    await ada.untilLease(lease.id, 'has ended', ({ state }) => state === 'ended', 3_000);
    expect(await system.sql("SELECT id FROM events WHERE type = 'node.wipe_failed'")).toEqual([]);
    await system.startScheduler();
    await giveBack();
  }, 60_000);

  it('I3/I8: MariaDB that dies and returns loses no lease, moves nobody, and rents work again', async () => {
    const leases = expectStatus(await ada.rent({ count: 2 }), 201).leases;
    const movedBefore = await system.sql("SELECT id FROM events WHERE type = 'lease.moved'");
    const inFlight = ada.rent({ key: 'over-the-crash' }).then(
      ({ status }) => status,
      () => 0,
    );
    await system.mariadb?.kill9();
    const status = async (at: OrionProcess): Promise<number> => (await fetch(`${at.url}/readyz`)).status;
    const everyone = [...running(system.apis), ...running(system.schedulers)];
    for (const each of everyone) {
      await eventually(async () => (await status(each)) === 503, { what: `${each.role} is not ready`, timeoutMs: 8_000 });
    }
    expect((await ada.rent()).status).toBe(503);

    await system.mariadb?.restart();
    for (const each of everyone) {
      await eventually(async () => (await status(each)) === 200, { what: `${each.role} is ready again`, timeoutMs: 15_000 });
    }
    expect([201, 503, 0]).toContain(await inFlight);
    const repeated = await eventually(
      async () => {
        const answer = await ada.rent({ key: 'over-the-crash' });
        return answer.status < 300 ? answer.body.leases[0] : undefined;
      },
      { what: 'the repeated rent is answered', timeoutMs: 20_000, everyMs: 200 },
    );
    await ada.untilLease(repeated.id, 'is active', ({ state }) => state === 'active');
    for (const { id, node, ends_at: endsAt, generation } of leases) {
      expect(await ada.lease(id)).toMatchObject({ state: 'active', ends_at: endsAt, generation, node: { id: node?.id } });
    }
    // Long enough for a wrong decision to be made and carried out.
    const judged = await lastChecks(system, fleet.workers);
    await eventually(async () => (await lastChecks(system, fleet.workers)).every((at, i) => at >= (judged[i] ?? 0) + 4), {
      what: 'every node was looked at for a while',
      timeoutMs: 20_000,
      everyMs: 200,
    });
    expect(await system.sql("SELECT id FROM events WHERE type = 'lease.moved'")).toEqual(movedBefore);
    const rents = await system.sql("SELECT id FROM rents WHERE idempotency_key = 'over-the-crash'");
    expect(rents).toHaveLength(1);
    await giveBack(...leases, repeated);
  }, 90_000);

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});

function lastOf(all: OrionProcess[]): OrionProcess {
  const last = all.at(-1);
  if (!last || all.length < 2) {
    throw new Error('a second replica is needed');
  }
  return last;
}

async function lastChecks(system: System, workers: Worker[]): Promise<number[]> {
  const rows = await system.sql<{ hostname: string; at: string }>('SELECT hostname, UNIX_TIMESTAMP(last_checked_at) AS at FROM nodes');
  return workers.map(({ name }) => Number(rows.find(({ hostname }) => hostname === name)?.at));
}
