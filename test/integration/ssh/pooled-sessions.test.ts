import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../src/lib/clock';
import { createPooledSessions, dialDirectly, HostKeyChangedError, type PooledSessions, type SshTarget } from '../../../src/ssh';
import { openTrap } from '../../chaos/rogue/traps';
import { eventually } from '../../lab';
import { nodeOf, useBench } from '../provisioning/support';

const LIMIT_MS = 120_000;
const soon = (ms = 10_000): AbortSignal => AbortSignal.timeout(ms);

describe('connections that are kept', () => {
  const { bench } = useBench();
  let logins: number;
  let lost: number[];
  let sessions: PooledSessions;
  let target: SshTarget;

  const open = ({ max = 100, idleMs = 60_000 } = {}): PooledSessions =>
    createPooledSessions({
      dial: async (to, signal) => {
        logins += 1;
        return dialDirectly(to, signal);
      },
      username: 'orion-mgmt',
      privateKey: readFileSync(bench.managementKey.keyFile, 'utf8'),
      clock: systemClock,
      loginTimeoutMs: 10_000,
      max,
      idleMs,
    });

  beforeEach(() => {
    logins = 0;
    lost = [];
    sessions = open();
    sessions.onLost((nodeId) => lost.push(nodeId));
    const [worker] = bench.workers;
    target = nodeOf(worker as NonNullable<typeof worker>);
  });
  afterEach(() => sessions.close());

  /** Ends the server's process of each connection of the management account, as a machine does that goes down in order. */
  const endLogins = async (): Promise<void> => {
    await bench.workers[0]?.exec('pkill -KILL -f "^sshd: orion-mgmt" || :');
  };
  const run = (command: string, input?: string): ReturnType<PooledSessions['run']> =>
    sessions.run(target, { command, signal: soon(), ...(input === undefined ? {} : { input }) });

  it(
    'serve many commands with one login, also several at once and those that are over at once',
    async () => {
      const ends = await Promise.all(Array.from({ length: 8 }, (_, n) => run(`cat; echo no >&2; exit ${n}`, `in ${n}`)));
      expect(ends).toEqual(ends.map((_, n) => ({ code: n, stdout: `in ${n}`, stderr: 'no\n' })));
      for (let n = 0; n < 60; n += 1) {
        expect(await run(`exit ${n}`)).toEqual({ code: n, stdout: '', stderr: '' });
      }
      expect(await run('kill -9 $$')).toMatchObject({ code: null });
      await sessions.ping(target, soon());
      expect({ logins, size: sessions.size, lost }).toEqual({ logins: 1, size: 1, lost: [] });
    },
    LIMIT_MS,
  );

  it(
    'are replaced when they broke in between, which is told; a command that had begun is not repeated',
    async () => {
      await run('true');
      await endLogins();
      await eventually(() => Promise.resolve(lost.length === 1), { what: 'the loss is told', timeoutMs: 10_000 });
      expect(lost).toEqual([target.nodeId]);
      await expect(sessions.ping(target, soon())).rejects.toThrow('no session is pooled');
      expect((await run('echo again')).stdout).toBe('again\n');
      expect(logins).toBe(2);

      const asleep = run('echo x >>/tmp/begun; sleep 60');
      const broken = expect(asleep).rejects.toThrow('ended before the command');
      await eventually(async () => (await bench.workers[0]?.exec('cat /tmp/begun'))?.code === 0, {
        what: 'it has begun',
        timeoutMs: 10_000,
      });
      await endLogins();
      await broken;
      expect((await bench.workers[0]?.exec('cat /tmp/begun; rm /tmp/begun'))?.stdout).toBe('x\n');
      expect(logins).toBe(2);
    },
    LIMIT_MS,
  );

  it(
    'do not take an answer for whole when a node tells the exit code and dies before the end of it',
    async () => {
      const trap = await openTrap(bench.lab, 'exit-before-the-end-of-the-output');
      await expect(sessions.run({ nodeId: 7, ...trap }, { command: 'true', signal: soon() })).rejects.toThrow(
        'the connection ended before the command',
      );
    },
    LIMIT_MS,
  );

  it(
    'verify the host key, and serve no target with another one',
    async () => {
      await run('true');
      const stranger = { ...target, hostKey: `ssh-ed25519 ${Buffer.alloc(51, 7).toString('base64')}` };
      await expect(sessions.run(stranger, { command: 'touch /tmp/never', signal: soon() })).rejects.toThrow(HostKeyChangedError);
      expect((await bench.workers[0]?.exec('ls /tmp/never'))?.code).not.toBe(0);
      expect(sessions.size).toBe(0);
      expect((await run('echo me')).stdout).toBe('me\n');
      expect(logins).toBe(3);
    },
    LIMIT_MS,
  );

  it(
    'are cut at a deadline and by a flood, which ends on the machine, too',
    async () => {
      await expect(run('yes')).rejects.toThrow('printed more than 1048576 bytes');
      await eventually(async () => (await bench.workers[0]?.exec('pgrep -x yes'))?.code === 1, {
        what: 'the flood is over',
        timeoutMs: 10_000,
      });
      await sessions.keep(target, soon());
      await expect(sessions.run(target, { command: 'sleep 60', signal: soon(500) })).rejects.toThrow(/timeout|aborted/i);
      expect(sessions.size).toBe(0);
      expect((await run('echo on')).stdout).toBe('on\n');
      expect({ logins, lost }).toEqual({ logins: 3, lost: [] });
    },
    LIMIT_MS,
  );

  it(
    'are no more than were asked for, and go when nobody uses them',
    async () => {
      sessions = open({ max: 2 });
      const busy = run('sleep 1; echo done');
      for (const nodeId of [101, 102, 103]) {
        await sessions.keep({ ...target, nodeId }, soon());
      }
      expect(sessions.size).toBe(2);
      expect((await busy).stdout).toBe('done\n');
      await expect(sessions.ping({ ...target, nodeId: 101 }, soon())).rejects.toThrow('no session is pooled');
      await sessions.ping({ ...target, nodeId: 103 }, soon());
      sessions.drop(103);
      expect(sessions.size).toBe(1);
    },
    LIMIT_MS,
  );

  it(
    'end with their owner, and with them what waits',
    async () => {
      const asleep = run('sleep 60');
      const broken = expect(asleep).rejects.toThrow();
      await sessions.keep(target, soon());
      sessions.close();
      await broken;
      await expect(run('true')).rejects.toThrow();
      expect(sessions.size).toBe(0);
    },
    LIMIT_MS,
  );
});
