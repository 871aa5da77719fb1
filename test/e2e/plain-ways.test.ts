import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { useFleet, useSystem } from '../support/hooks';
import { fastConstants } from '../support/system';
import type { Tenant } from '../support/tenant';
import { workerOf } from './support/inside';

const WORKERS = 3;
/** Transactions statement by statement; a one-off run of ansible-playbook for each play; a login for each probe. */
const PLAIN = {
  ...fastConstants({ heartbeatIdleSeconds: 1, keepaliveProbes: false }),
  ORION_DB_MULTI_STATEMENTS: 'false',
  ORION_WARM_PLAYS: 'false',
};

describe('with every fast path turned off', () => {
  const system = useSystem({ apis: 1, schedulers: 1, env: PLAIN });
  const fleet = useFleet(system, WORKERS);
  let tenants: Tenant[];

  beforeAll(async () => {
    tenants = await Promise.all([system.tenant(), system.tenant(), system.tenant()]);
  }, 120_000);

  it("three who rent at once get a machine each, a dead one's lease moves with its end unchanged, and all of it is wiped", async () => {
    const leases = await Promise.all(tenants.map((tenant) => tenant.rentOne()));
    expect(new Set(leases.map(({ node }) => node?.id)).size).toBe(WORKERS);
    for (const [at, tenant] of tenants.entries()) {
      const lease = leases[at] as (typeof leases)[number];
      expect((await tenant.login(lease, 'id -un')).stdout.trim()).toBe(lease.access?.username);
    }
    const [ada, bob] = tenants as [Tenant, Tenant];
    const [hers, his] = leases as [(typeof leases)[number], (typeof leases)[number]];

    await bob.release(his.id);
    await system.untilFree(1);
    const worker = workerOf(fleet, hers);
    await worker.kill();
    const moved = await ada.untilLease(
      hers.id,
      'is active elsewhere',
      ({ state, generation, access }) => state === 'active' && generation === 2 && access !== null,
    );
    expect(moved).toMatchObject({ ends_at: hers.ends_at, node: { id: his.node?.id } });
    expect((await ada.login(moved, 'true')).code).toBe(0);

    await worker.start();
    await ada.release(hers.id);
    await tenants[2]?.release(leases[2]?.id ?? 0);
    await system.untilFree(WORKERS, 60_000);
  }, 120_000);

  it('none of them was taken', async () => {
    for (const { pid } of [...system.apis, ...system.schedulers]) {
      // 1: there is no such process.
      expect(spawnSync('pgrep', ['--parent', String(pid), '--full', 'prefork_plays']).status).toBe(1);
    }
    for (const { url } of system.schedulers) {
      expect(await (await fetch(`${url}/metrics`)).text()).not.toMatch(/^orion_kept_probes_total\{.*\} [1-9]/m);
    }
  });

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});
