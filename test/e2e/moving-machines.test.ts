import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, runOrThrow, type Worker, type WorkerFleet } from '../lab';
import type { Lease } from '../../src/contract';
import { useSystem, useTenant } from '../support/hooks';
import { fastConstants } from '../support/system';
import { workerOf } from './support/inside';

const WAIT_MS = 60_000;

/** Machines in networks of their own, at the default schedule of probes, for what happens to a machine must be shorter than a death. */
describe('a leased machine in the field', () => {
  const system = useSystem({ apis: 1, schedulers: 1, env: fastConstants({ suspectIntervalSeconds: 5 }) });
  let fleet: WorkerFleet;
  const ada = useTenant(system);
  let lease: Lease;
  let worker: Worker;

  beforeAll(async () => {
    // The control plane takes the address from the calls of the agent, as for a machine whose owner set none.
    fleet = await system.launchWorkers(2, { network: 'routed', agentEnv: { MY_ADDRESS: '', ORION_TUNNEL: 'false' } });
    // Past the relay of the lab, behind which every machine has the same address.
    const { port } = new URL((await system.startApi({ env: { ORION_HTTP_HOST: '0.0.0.0' } })).url);
    for (const each of fleet.workers) {
      await each.exec(`sed -i 's/^\\(API_ENDPOINT=.*:\\).*/\\1${port}/' /etc/orion/agent.env && pkill -KILL -f '[o]rion-agent.js'`);
    }
    await eventually(async () => (await system.nodes()).every(({ address }) => address.startsWith('10.')), {
      what: 'the agents call the other replica',
      timeoutMs: WAIT_MS,
    });
    await system.untilFree(2);
    lease = await ada.rentOne({ seconds: 1800 });
    worker = workerOf(fleet, lease);
  }, 120_000);

  const stays = async (): Promise<void> => {
    expect(await ada.lease(lease.id)).toMatchObject({
      state: 'active',
      generation: 1,
      ends_at: lease.ends_at,
      node: { hostname: worker.name },
    });
    expect((await system.node(worker.name)).status).toBe('alive');
  };

  it(
    'suspends and wakes: the lease stays, and jobs go on',
    async () => {
      expect(await ada.login(lease, 'nohup setsid sleep 7777 >/dev/null 2>&1 &')).toMatchObject({ code: 0 });
      await worker.freeze();
      await new Promise((resolve) => setTimeout(resolve, 4000));
      await worker.thaw();
      await eventually(
        async () => (await system.node(worker.name)).status === 'alive' && (await ada.login(lease, 'pgrep -x sleep')).code === 0,
        { what: 'it is in service', timeoutMs: WAIT_MS },
      );
      await stays();
    },
    2 * WAIT_MS,
  );

  it(
    'has an interface that flaps: the lease stays',
    async () => {
      for (let i = 0; i < 6; i += 1) {
        await worker.cut();
        await new Promise((resolve) => setTimeout(resolve, 1500));
        await worker.mend();
        await new Promise((resolve) => setTimeout(resolve, 1500));
      }
      await eventually(async () => (await system.node(worker.name)).status === 'alive' && (await ada.login(lease, 'true')).code === 0, {
        what: 'it is in service',
        timeoutMs: WAIT_MS,
      });
      await stays();
    },
    2 * WAIT_MS,
  );

  it(
    'gets another address: the lease stays, and access says where it is now',
    async () => {
      const before = worker.address;
      const next = before.replace(/\d+$/, '77');
      const host = before.replace(/\d+$/, '254');
      // The other end of the link, which is the launch's (scripts/lib/worker-net.sh).
      await runOrThrow('ip', ['route', 'add', next, 'dev', `ow${before.slice('10.'.length).replaceAll('.', '-')}`]);
      // As a DHCP client does it.
      const { code, stderr } = await worker.exec(`set -e
      ip addr del ${before} peer ${host} dev eth0; ip addr add ${next} peer ${host} dev eth0; ip route replace default via ${host} dev eth0 src ${next}
      /usr/sbin/sshd -o ListenAddress=${next}:${worker.port} </dev/null >/dev/null 2>&1`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const learned = async (): Promise<boolean> => (await system.node(worker.name)).address === next;
      const startedAt = performance.now();
      await eventually(learned, { what: 'the address is learned', timeoutMs: WAIT_MS });
      process.stdout.write(`from the new address to the row: ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
      const now = await ada.lease(lease.id);
      expect(now.access).toMatchObject({ host: next, port: worker.port });
      expect(await ada.login(now, 'pgrep -x sleep')).toMatchObject({ code: 0 });
      await eventually(async () => (await system.node(worker.name)).status === 'alive', { what: 'it is alive', timeoutMs: WAIT_MS });
      await stays();
    },
    2 * WAIT_MS,
  );
});
