import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from '@jest/globals';
import { eventually, launchWorkers, run, runOrThrow, sshExec, sshOptions, type SshTarget } from '../lab';
import type { Lease, NodeForAdmin } from '../../src/contract';
import { expectStatus } from '../support/api-client';
import { openTerminal, throughGateway } from '../support/gateway-client';
import { useForAll, useGateway, useSystem, useTenant } from '../support/hooks';
import { parseJoinToken } from '../../src/lib/join-token';
import { inside, tracesOf, workerOf } from './support/inside';

const WAIT_MS = 90_000;
const GIB = 1024 ** 3;

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

describe('machines behind a firewall that lets nothing in', () => {
  const system = useSystem({ apis: 1, schedulers: 1, gateway: true });
  const gateway = useGateway(system);
  const fleet = useForAll(() => system.launchWorkers(2, { network: 'nat' }));
  const ada = useTenant(system);
  let lease: Lease;
  let to: SshTarget;

  const account = (): string => lease.access?.username ?? '';

  it(
    'R4: they are registered, probed, wiped and free, all through the connection that they made',
    async () => {
      await system.untilFree(2, WAIT_MS);
      expect((await system.nodes()).map(({ reach }) => reach)).toEqual(['tunnel', 'tunnel']);
      expect(await (await fetch(`${system.apis[0]?.opsUrl ?? ''}/metrics`)).text()).toContain('\norion_tunnels_held 2\n');
      expect(await run('timeout', ['2', 'bash', '-c', `exec 3<>/dev/tcp/${fleet.workers[0]?.address ?? ''}/2222`], {})).not.toMatchObject({
        code: 0,
      });
    },
    2 * WAIT_MS,
  );

  it(
    'R4: one is leased and used through the gateway with OpenSSH, one line in known_hosts and nothing else',
    async () => {
      lease = await ada.rentOne({ seconds: 1800 });
      to = throughGateway(ada, lease, gateway);
      expect(await sshExec(to, 'id -un; touch /tmp/left /dev/shm/left; nohup setsid sleep 7777 >/dev/null 2>&1 &')).toMatchObject({
        code: 0,
        stdout: `${account()}\n`,
      });
    },
    WAIT_MS,
  );

  it(
    'a gibibyte through sftp, there and back, is what it was',
    async () => {
      const [there, back] = [join(system.lab.dir, 'there'), join(system.lab.dir, 'back')];
      await runOrThrow('sh', ['-c', `head -c ${GIB} /dev/urandom >"$0"`, there]);
      const sftp = (line: string): ReturnType<typeof run> =>
        run('sftp', [...sshOptions(to), '-b', '-', `${to.user}@${to.address}`], { input: `${line}\n`, timeoutMs: 3 * WAIT_MS });
      expect(await sftp(`put ${there} big`)).toMatchObject({ code: 0 });
      expect(await sftp(`get big ${back}`)).toMatchObject({ code: 0 });
      const sums = await Promise.all([
        sha256Of(there),
        sha256Of(back),
        inside(workerOf(fleet, lease), `sha256sum /home/${account()}/big | cut -c1-64`),
      ]);
      expect(new Set(sums).size).toBe(1);
      await runOrThrow('rm', [there, back]);
      await sshExec(to, 'rm big');
    },
    8 * WAIT_MS,
  );

  it(
    'R21: the machine is killed under an open shell; the client stays and is on the other one, at the same address under the same host key',
    async () => {
      const terminal = openTerminal(to);
      terminal.type('echo here-$(id -un)\n');
      await terminal.untilShown(new RegExp(`here-${account()}`));
      const dead = workerOf(fleet, lease);
      const killedAt = performance.now();
      const uid = Number(await inside(dead, `id -u ${account()}`));
      await dead.kill();
      await terminal.untilShown(/\[orion\] you are on/, WAIT_MS);
      terminal.type('echo now-$(id -un)\n');
      const moved = await ada.untilLease(
        lease.id,
        'is elsewhere',
        ({ generation, access }) => generation === 2 && access !== null,
        WAIT_MS,
      );
      await terminal.untilShown(new RegExp(`now-${moved.access?.username ?? ''}`), WAIT_MS);
      process.stdout.write(`from the kill to a prompt on the next machine: ${((performance.now() - killedAt) / 1000).toFixed(1)} s\n`);
      expect(moved.ends_at).toBe(lease.ends_at);
      terminal.type('exit\n');
      expect(await terminal.untilExit()).toBe(0);
      expect(await sshExec(to, 'id -un')).toMatchObject({ code: 0, stdout: `${moved.access?.username ?? ''}\n` });
      await dead.start();
      await system.untilFree(1, WAIT_MS);
      expect(await tracesOf(dead, { uid, username: account(), mark: 'left' })).toBe('');
      lease = moved;
    },
    4 * WAIT_MS,
  );

  it(
    'R24: after the release nothing of it remains there',
    async () => {
      const worker = workerOf(fleet, lease);
      const uid = Number(await inside(worker, `id -u ${account()}`));
      expect(await sshExec(to, 'touch /tmp/left /var/tmp/left; nohup setsid sleep 7777 >/dev/null 2>&1 &')).toMatchObject({ code: 0 });
      await ada.release(lease.id);
      await system.untilFree(2, WAIT_MS);
      expect(await tracesOf(worker, { uid, username: account(), mark: 'left' })).toBe('');
      expect(await system.violations()).toEqual([]);
    },
    2 * WAIT_MS,
  );

  it(
    'R1, R4: one without a token has no tunnel while it waits, and is reached, wiped and free soon after it is approved',
    async () => {
      await launchWorkers(system.lab, 1, {
        endpoint: system.apis[0]?.url ?? '',
        network: 'nat',
        agentEnv: { MY_HOSTNAME: 'newcomer', ORION_CONTROL_FINGERPRINT: parseJoinToken(system.joinToken)?.fingerprint ?? '' },
      });
      const found = async (): Promise<NodeForAdmin | undefined> => (await system.nodes()).find(({ hostname }) => hostname === 'newcomer');
      const waiting = await eventually(
        async () => {
          const node = await found();
          return node?.last_heartbeat_at ? node : undefined;
        },
        { what: 'the machine waits and calls home', timeoutMs: WAIT_MS },
      );
      expect(waiting.status).toBe('pending');
      expect(await system.sql('SELECT 1 FROM tunnels WHERE node_id = ?', [waiting.id])).toEqual([]);
      const approvedAt = performance.now();
      expectStatus(
        await system.admin.post(`/api/nodes/${waiting.id}/approve`, { host_key_fingerprint: waiting.host_key_fingerprint }),
        200,
      );
      await eventually(async () => (await found())?.free === true, { what: 'the machine is free', timeoutMs: WAIT_MS });
      process.stdout.write(`from the approval to a free machine: ${((performance.now() - approvedAt) / 1000).toFixed(1)} s\n`);
      expect((await found())?.reach).toBe('tunnel');
    },
    3 * WAIT_MS,
  );
});
