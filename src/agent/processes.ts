import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { Clock } from '../lib/clock';
import { readTextIfPresent } from './files';

const CLEAN_SCANS = 2;
const PAUSE_MS = 50;
const LIMIT_MS = 30_000;
const SENDER_LIMIT_MS = 2000;

/** Whether a /proc/PID/status is that of a living process with `uid` among its real, effective, saved and file system uid. */
export function belongsTo(status: string, uid: number): boolean {
  const uids = /^Uid:\s+(.+)$/m.exec(status)?.[1]?.split(/\s+/).map(Number) ?? [];
  // A process whose first thread has ended looks like a zombie while its other threads live on.
  const dead = /^State:\s+[ZX]/m.test(status) && Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0) <= 1;
  return uids.includes(uid) && !dead;
}

/** The ids of the living processes of a uid. */
export async function listProcessesOf(uid: number): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir('/proc')) {
    const status = /^\d+$/.test(name) ? await readStatus(name) : '';
    if (belongsTo(status, uid)) {
      pids.push(Number(name));
    }
  }
  return pids;
}

async function readStatus(pid: string): Promise<string> {
  try {
    return (await readTextIfPresent(`/proc/${pid}/status`)) ?? '';
  } catch {
    // A process that ends between open and read answers ESRCH.
    return '';
  }
}

/**
 * Kills every process of a uid until two scans in a row find none; throws after 30 s. The signal is sent by a process of that very uid to
 * all it may reach: one system call, which a program that forks faster than anybody can list cannot outrun, and which cannot hit another uid.
 */
export async function killProcessesOf(account: ProcessOwner, clock: Clock): Promise<number> {
  const killed = new Set<number>();
  await signalUntil(account, clock, {
    signal: 'SIGKILL',
    survivors: async () => {
      const pids = await listProcessesOf(account.uid);
      pids.forEach((pid) => killed.add(pid));
      return pids;
    },
  });
  return killed.size;
}

/** Stops every process of a uid, in the same way, until two scans in a row find none awake. */
export function freezeProcessesOf(account: ProcessOwner, clock: Clock): Promise<void> {
  return signalUntil(account, clock, { signal: 'SIGSTOP', survivors: () => listAwakeProcessesOf(account.uid) });
}

/** Lets them go on, the youngest first: a shell that sees its command still stopped would take it for suspended. */
export async function thawProcessesOf(uid: number): Promise<void> {
  const pids = await listProcessesOf(uid);
  const started = new Map(await Promise.all(pids.map(async (pid) => [pid, await startOf(pid)] as const)));
  signalEach(pids.toSorted((a, b) => (started.get(b) ?? 0) - (started.get(a) ?? 0) || b - a), uid, 'SIGCONT');
}

/** Of the processes of a uid those that can run. One that waits within the kernel cannot: it meets a signal before it goes on. */
export async function listAwakeProcessesOf(uid: number): Promise<number[]> {
  const pids = await listProcessesOf(uid);
  const awake = await Promise.all(pids.map(async (pid) => (await readThreads(pid)).some(isAwake)));
  return pids.filter((_, index) => awake[index]);
}

/** Whether a status of a thread says that it runs, or will when what it sleeps for comes. */
export function isAwake(status: string): boolean {
  return /^State:\s+[^TtZXD]/m.test(status);
}

async function readThreads(pid: number): Promise<string[]> {
  try {
    const threads = await readdir(`/proc/${pid}/task`);
    return await Promise.all(threads.map((thread) => readStatus(`${pid}/task/${thread}`)));
  } catch {
    return [];
  }
}

/** In ticks since boot. */
async function startOf(pid: number): Promise<number> {
  const stat = await readTextIfPresent(`/proc/${pid}/stat`).catch(() => undefined);
  return Number(stat?.replace(/^.*\) /s, '').split(' ')[19] ?? 0);
}

interface ProcessOwner {
  uid: number;
  gid: number;
}

interface Signalling {
  signal: 'SIGKILL' | 'SIGSTOP';
  /** Those that the signal has not had its effect on yet. */
  survivors: () => Promise<number[]>;
}

async function signalUntil(account: ProcessOwner, clock: Clock, { signal, survivors }: Signalling): Promise<void> {
  const deadline = clock.monotonicMs() + LIMIT_MS;
  for (let clean = 0; clean < CLEAN_SCANS; ) {
    const pids = await survivors();
    clean = pids.length === 0 ? clean + 1 : 0;
    if (pids.length > 0) {
      await signalAll(account, signal);
      // What the tenant's processes may do to the sender, they cannot do to root.
      signalEach(pids, account.uid, signal);
    }
    if (clock.monotonicMs() > deadline) {
      throw new Error(`processes of uid ${account.uid} survive ${signal}`);
    }
    await clock.sleep(PAUSE_MS);
  }
}

function signalAll({ uid, gid }: ProcessOwner, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { uid, gid, cwd: '/', env: {}, stdio: 'ignore', timeout: SENDER_LIMIT_MS, killSignal: 'SIGKILL' } as const;
    const sender = spawn('/bin/sh', ['-c', `kill -${signal.replace('SIG', '')} -1`], options);
    sender.on('error', reject);
    sender.on('exit', () => resolve());
  });
}

/** One by one, each looked at once more just before: its pid may be another's by now. */
function signalEach(pids: number[], uid: number, signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      if (belongsTo(readFileSync(`/proc/${pid}/status`, 'utf8'), uid)) {
        process.kill(pid, signal);
      }
    } catch {
      // It has ended.
    }
  }
}
