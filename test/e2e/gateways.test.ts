import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, openTerminal, run, sshExec, sshOptions, type SshTarget, type Terminal } from '../lab';
import type { Lease } from '../../src/contract';
import { throughGateway } from '../support/gateway-client';
import { useFleet, useGateway, useSystem, useTenant } from '../support/hooks';
import type { RunningGateway } from '../support/system';
import { inside, workerOf } from './support/inside';

/** What the control plane knows of these machines leads nowhere: everything goes through their tunnels. */
const NOWHERE = '127.0.99.99';
const WAIT_MS = 90_000;
const MIB = 1024 * 1024;
/** More than the windows of one stream and the buffers on its way, by far less than what is sent. */
const MEMORY_BOUND_MB = 64;
const SENT_MIB = 1024;

const residentMb = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

describe('several gateways before machines that nobody can call', () => {
  afterAll(() => terminals.forEach((terminal) => terminal.close()));
  const system = useSystem({ apis: 1, schedulers: 1, gateway: true });
  let first: RunningGateway;
  beforeAll(async () => {
    first = await system.startGateway();
  }, WAIT_MS);
  const second = useGateway(system);
  const fleet = useFleet(system, 1, { agentEnv: { MY_ADDRESS: NOWHERE } });
  const ada = useTenant(system);
  let lease: Lease;
  const terminals: Terminal[] = [];
  const by = (gateway: RunningGateway): SshTarget => throughGateway(ada, lease, gateway);

  const work = async (gateway: RunningGateway): Promise<Terminal> => {
    const terminal = openTerminal(by(gateway));
    terminals.push(terminal);
    terminal.type('echo at-work-$((1 + 1))\n');
    await terminal.untilShown(/at-work-2/);
    return terminal;
  };

  beforeAll(async () => {
    lease = await ada.rentOne({ seconds: 1800 });
  }, 2 * WAIT_MS);

  it(
    'a gibibyte for a client that does not read costs nobody the memory, and arrives when it does',
    async () => {
      const target = by(first);
      const agent = async (): Promise<number> =>
        Number(await inside(workerOf(fleet, lease), "grep -h VmRSS /proc/$(pgrep -of '[o]rion-agent.js')/status | tr -dc 0-9")) / 1024;
      const [api] = system.apis;
      const look = async (): Promise<number[]> => [residentMb(first.replica.pid), residentMb(api?.pid ?? 0), await agent()];
      const before = await look();
      const client = spawn('ssh', [...sshOptions(target), `${target.user}@${target.address}`, `head -c ${SENT_MIB * MIB} /dev/zero`], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let received = 0;
      client.stdout.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      await eventually(() => received > 8 * MIB, { what: 'bytes arrive', timeoutMs: WAIT_MS });
      client.kill('SIGSTOP');
      let sent = '';
      await eventually(
        async () => {
          // Until the sender stands still: its position is the same at two looks.
          const now = await inside(workerOf(fleet, lease), 'grep -h rchar /proc/$(pgrep -x head)/io');
          const stands = now === sent;
          sent = now;
          return stands;
        },
        { what: 'the sender waits', timeoutMs: WAIT_MS, everyMs: 1_000 },
      );
      const more = (await look()).map((mb, i) => Math.round(mb - (before[i] ?? 0)));
      process.stdout.write(
        `a client that does not read: MB more in the gateway, the API that holds the tunnel, the agent: ${more.join(', ')}\n`,
      );
      expect(Math.max(...more)).toBeLessThan(MEMORY_BOUND_MB);
      client.kill('SIGCONT');
      await eventually(() => received === SENT_MIB * MIB, { what: 'all of it has arrived', timeoutMs: 2 * WAIT_MS });
    },
    5 * WAIT_MS,
  );

  it(
    'one is killed in mid-session: sessions at the other go on, the lease goes on, and the next connection finds it',
    async () => {
      const [here, there] = [await work(first), await work(second)];
      await first.replica.kill9();
      expect(await here.untilExit()).toBe(255);
      there.type('echo still-$((2 + 2))\n');
      await there.untilShown(/still-4/);
      expect(await sshExec(by(second), 'true')).toMatchObject({ code: 0 });
      expect(await ada.lease(lease.id)).toMatchObject({ state: 'active', generation: 1 });
      there.type('exit\n');
      expect(await there.untilExit()).toBe(0);
      first = await system.startGateway({ ORION_GATEWAY_PORT: String(first.port) }).then(({ replica }) => ({ ...first, replica }));
      expect(await sshExec(by(first), 'true')).toMatchObject({ code: 0 });
    },
    2 * WAIT_MS,
  );

  it(
    'R36: one is told to stop while a copy is under way: the copy is finished, and it ends in order',
    async () => {
      const file = join(system.lab.dir, 'a file');
      writeFileSync(file, randomBytes(24 * MIB));
      const copying = run('scp', [...sshOptions(by(first)), '-l', '65536', file, `${by(first).user}@127.0.0.1:copied`], {
        timeoutMs: WAIT_MS,
      });
      await eventually(
        async () =>
          (await inside(workerOf(fleet, lease), `stat -c %s /home/${lease.access?.username ?? ''}/copied 2>/dev/null || echo 0`)) !== '0',
        { what: 'the copy is under way', timeoutMs: WAIT_MS, everyMs: 50 },
      );
      const ended = first.replica.stop(40_000);
      expect(await copying).toMatchObject({ code: 0 });
      expect(await ended).toMatchObject({ code: 0 });
      expect(await sshExec(by(second), 'stat -c %s copied')).toMatchObject({ code: 0, stdout: `${24 * MIB}\n` });
      expect((await ada.lease(lease.id)).generation).toBe(1);
    },
    2 * WAIT_MS,
  );
});
