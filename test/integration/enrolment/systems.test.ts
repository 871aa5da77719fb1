import { beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { launchWorkers, projectDir, runOrThrow, type Worker, type WorkerFleet } from '../../lab';
import type { Lease } from '../../../src/contract';
import { expectStatus } from '../../support/api-client';
import { tracesOf, workerOf } from '../../e2e/support/inside';
import { useSystem, useTenant } from '../../support/hooks';
import { buildAgent, filesOf, get, install } from './support';

/**
 * Other systems than the one that the tests run on, without Node.js: from the installation to the leave. The test command has one of them,
 * `npm run matrix` all. Their root file systems are made by debootstrap and kept in node_modules/.cache; the kernel is this machine's.
 */
const ALL = ['debian11', 'debian12', 'debian13', 'ubuntu24', 'busybox'];
const systems = process.env['ORION_MATRIX'] === 'all' ? ALL : (process.env['ORION_MATRIX'] ?? 'debian13').split(',');

describe.each(systems)('a machine with %s', (name) => {
  beforeAll(buildAgent, 300_000);
  const system = useSystem({ apis: 1, schedulers: 1 });
  let fleet: WorkerFleet;
  let before: string[][];
  const ada = useTenant(system);
  let lease: Lease;

  beforeAll(async () => {
    const root = (await runOrThrow(join(projectDir, 'scripts', 'make-root.sh'), [name], { timeoutMs: 600_000 })).trim();
    fleet = await launchWorkers(system.lab, 2, { root });
  }, 900_000);

  const login = async (): Promise<string> => {
    const { stdout, stderr } = await ada.login(lease, 'id -un; echo left >/tmp/left; (sleep 7777 >/dev/null 2>&1 &)');
    return `${stdout.trim()}${stderr}`;
  };
  const clean = async (worker: Worker, uid: number, username: string): Promise<string> => tracesOf(worker, { uid, username, mark: 'left' });

  it('R54: is installed and enrolled without Node.js', async () => {
    before = await Promise.all(fleet.workers.map(filesOf));
    const script = (await get(`${system.apis[0]?.url ?? ''}/install.sh`)).body;
    for (const worker of fleet.workers) {
      expect((await worker.exec('command -v node nodejs')).stdout).toBe('');
      const env = {
        MY_HOSTNAME: worker.name,
        MY_ADDRESS: worker.address,
        MY_HOST_PORT: String(worker.port),
        ORION_TOKEN: system.joinToken,
      };
      const { code, stdout, stderr } = await install(worker, script, { env });
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: expect.stringContaining('and in service'), stderr: '' });
    }
  }, 240_000);

  it('R7: is rented, logged in to, left for another one and wiped', async () => {
    await system.untilFree(2, 90_000);
    lease = await ada.rentOne({ seconds: 1800 });
    const first = { worker: workerOf(fleet, lease), username: lease.access?.username ?? '' };
    expect(await login()).toBe(first.username);
    const uid = Number((await first.worker.exec(`sed -n 's/^${first.username}:x:\\([0-9]*\\):.*/\\1/p' /etc/passwd`)).stdout);
    expect(uid).toBeGreaterThan(1000);
    const node = await system.node(first.worker.name);
    expectStatus(await system.admin.post(`/api/nodes/${node.id}/drain`, { move: true }), 200);
    lease = await ada.untilLease(lease.id, 'is elsewhere', ({ generation, access }) => generation === 2 && access !== null, 90_000);
    expect(workerOf(fleet, lease).name).not.toBe(first.worker.name);
    expect(await login()).toBe(lease.access?.username);
    expect(await clean(first.worker, uid, first.username)).toBe('');
  }, 240_000);

  it('is released, leaves, and has nothing of Orion any more', async () => {
    await ada.release(lease.id);
    await system.untilFree(1, 90_000);
    for (const worker of fleet.workers) {
      const { code, stdout } = await worker.exec('orion-agent leave', { timeoutMs: 120_000 });
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'nothing of Orion remains on this machine\n' });
    }
    expect(await Promise.all(fleet.workers.map(filesOf))).toEqual(before);
    expect(await system.violations()).toEqual([]);
  }, 240_000);
});
