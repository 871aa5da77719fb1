import { eventually } from './eventually';
import { skewed } from './skewed';
import type { Worker } from './workers';

/** The clock of one worker: every program in it reads this time. */
export interface MachineClock {
  /** Sets the clock to so many seconds ahead of the host's, or behind if negative. Monotonic clocks do not change. */
  set(seconds: number): Promise<void>;
}

/** The environment for the agent of such a worker. The agent reads the clock's file once a second. */
export function machineClockEnv(): Record<string, string> {
  const { LD_PRELOAD = '', FAKETIME_DONT_FAKE_MONOTONIC = '' } = skewed(1);
  return { LD_PRELOAD, FAKETIME_DONT_FAKE_MONOTONIC, FAKETIME_CACHE_DURATION: '1' };
}

/**
 * A wrapper that replaces sshd. sshd's child processes for logins cannot open files, so they get the time from their environment. A new
 * time therefore needs a new sshd.
 */
const SSHD = `#!/bin/sh
exec env FAKETIME="$(cat /etc/faketimerc)" /run/lab/sshd "$@"
`;

const INSTALL = (library: string): string =>
  `mkdir -p /run/lab && cp /usr/sbin/sshd /run/lab/sshd && cat >/run/lab/wrapper && chmod 755 /run/lab/wrapper && mount --bind /run/lab/wrapper /usr/sbin/sshd && echo '${library}' >/etc/ld.so.preload`;

const LISTENING = '^sshd: .*\\[listener\\]';
const LISTENER = `pgrep -f '^sshd: /run/lab/.*\\[listener\\]'`;

/** Gives a worker its own clock, by libfaketime. The worker must have been launched with machineClockEnv(). */
export async function giveClock(worker: Worker): Promise<MachineClock> {
  const run = async (command: string, input = ''): Promise<string> => {
    const { code, stdout, stderr } = await worker.exec(command, { input });
    if (code !== 0) {
      throw new Error(`${worker.name}: ${command}: ${stderr}`);
    }
    return stdout.trim();
  };
  const answers = async (seconds: number): Promise<boolean> =>
    Math.abs(Number(await run('date +%s')) - Date.now() / 1000 - seconds) < 5 && (await run(`${LISTENER} || true`)) !== '';
  await run(INSTALL(machineClockEnv()['LD_PRELOAD'] ?? ''), SSHD);
  const set = async (seconds: number): Promise<void> => {
    await run(
      `echo '${seconds < 0 ? '' : '+'}${seconds}s' >/etc/faketimerc.new && mv /etc/faketimerc.new /etc/faketimerc && kill $(pgrep -f '${LISTENING}')`,
    );
    await eventually(() => answers(seconds), { what: `the clock of ${worker.name} is set`, timeoutMs: 30_000 });
  };
  await set(0);
  return { set };
}
