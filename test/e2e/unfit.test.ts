import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, type Worker } from '../lab';
import type { NodeForAdmin } from '../../src/contract';
import { useSystem, useTenant } from '../support/hooks';
import { givenSshdLine } from '../support/sshd';

describe('a machine whose sshd lets no tenant in', () => {
  const system = useSystem({ apis: 1, schedulers: 1 });
  const ada = useTenant(system);
  let small: Worker;

  beforeAll(async () => {
    [small] = (await system.launchWorkers(1, { cpus: 1, labels: { size: 'small' } })).workers as [Worker];
    await system.launchWorkers(1, { cpus: 2, labels: { size: 'large' } });
    await system.untilFree(2);
  }, 90_000);

  const theSmall = async (): Promise<NodeForAdmin> => (await system.nodes()).find(({ cpus }) => cpus === 1) as NodeForAdmin;
  const untilSmall = (what: string, is: (node: NodeForAdmin) => boolean): Promise<NodeForAdmin> =>
    eventually(
      async () => {
        const node = await theSmall();
        return is(node) ? node : undefined;
      },
      { what, timeoutMs: 40_000 },
    );

  it('R53: a rent that meets it goes elsewhere, it leaves service with the reason, and comes back by itself once it is mended', async () => {
    const mend = await givenSshdLine(small, 'AllowUsers root orion-mgmt');
    const lease = await ada.rentOne();
    expect(lease).toMatchObject({ state: 'active', generation: 2 });
    expect(lease.node?.id).not.toBe((await theSmall()).id);
    expect((await ada.login(lease, 'true')).code).toBe(0);

    const out = await untilSmall('it is out of service', ({ withheld_reason: reason }) => reason !== null);
    expect(out).toMatchObject({ status: 'alive', free: false, provision_failures: 0, wipe_failures: 0 });
    expect(out.checks).toContainEqual({
      name: 'login',
      result: 'fail',
      cause: expect.stringContaining('AllowUsers'),
      remedy: expect.stringContaining('orn-*'),
    });
    expect((await ada.rent({ requirements: { cpus: 1, labels: { 'node/size': 'small' } } })).status).toBe(503);
    expect(await system.sql('SELECT type FROM events WHERE type = ? AND node_id = ?', ['node.withheld', out.id])).toHaveLength(1);

    await mend();
    const back = await untilSmall('it is in service', ({ free }) => free);
    expect(back).toMatchObject({
      withheld_reason: null,
      checks: [
        { name: 'account', result: 'ok' },
        { name: 'login', result: 'ok' },
      ],
    });
    const again = await ada.rentOne({ requirements: { cpus: 1, labels: { 'node/size': 'small' } } });
    expect((await ada.login(again, 'true')).code).toBe(0);
  }, 120_000);
});
