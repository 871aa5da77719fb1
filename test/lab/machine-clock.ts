import { eventually } from './eventually';
import { skewed } from './skewed';
import type { Worker } from './workers';

/** Of a worker: every program in it has this time. */
export interface MachineClock {
  /** Makes it so many seconds ahead of the host's, or behind. What measures durations goes on as it does. */
  set(seconds: number): Promise<void>;
}

/** For the agent of such a worker. It looks at the clock's file once a second. */
export function machineClockEnv(): Record<string, string> {
  const { LD_PRELOAD = '', FAKETIME_DONT_FAKE_MONOTONIC = '' } = skewed(1);
  return { LD_PRELOAD, FAKETIME_DONT_FAKE_MONOTONIC, FAKETIME_CACHE_DURATION: '1' };
}

/** Takes the place of sshd. Its children for logins may open no file, so its time comes from its environment, and another time takes another sshd. */
const SSHD = `#!/bin/sh
exec env FAKETIME="$(cat /etc/faketimerc)" /run/lab/sshd "$@"
`;

const INSTALL = (library: string): string => `mkdir -p /run/lab && cp /usr/sbin/sshd /run/lab/sshd && cat >/run/lab/wrapper && chmod 755 /run/lab/wrapper && mount --bind /run/lab/wrapper /usr/sbin/sshd && echo '${library}' >/etc/ld.so.preload`;

const LISTENING = '^sshd: .*\\[listener\\]';
const LISTENER = `pgrep -f '^sshd: /run/lab/.*\\[listener\\]'`;

/** Gives a worker that was launched with machineClockEnv() a clock of its own, by libfaketime. */
export async function giveClock(worker: Worker): Promise<MachineClock> {
  const run = async (command: string, input = ''): Promise<string> => {
    const { code, stdout, stderr } = await worker.exec(command, { input });
    if (code !== 0) {
      throw new Error(`${worker.name}: ${command}: ${stderr}`);
    }
    return stdout.trim();
  };
  const answers = async (seconds: number): Promise<boolean> => Math.abs(Number(await run('date +%s')) - Date.now() / 1000 - seconds) < 5 && (await run(`${LISTENER} || true`)) !== '';
  await run(INSTALL(machineClockEnv()['LD_PRELOAD'] ?? ''), SSHD);
  const set = async (seconds: number): Promise<void> => {
    await run(`echo '${seconds < 0 ? '' : '+'}${seconds}s' >/etc/faketimerc.new && mv /etc/faketimerc.new /etc/faketimerc && kill $(pgrep -f '${LISTENING}')`);
    await eventually(() => answers(seconds), { what: `the clock of ${worker.name} is set`, timeoutMs: 30_000 });
  };
  await set(0);
  return { set };
}
