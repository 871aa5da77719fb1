import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { Clock } from '../lib/clock';
import { readTextIfPresent } from './files';

const CLEAN_SCANS = 2;
const PAUSE_MS = 50;
const LIMIT_MS = 30_000;
const SENDER_LIMIT_MS = 2000;

/** Whether a /proc/PID/status belongs to a living process with `uid` as its real, effective, saved or file system uid. */
export function belongsTo(status: string, uid: number): boolean {
  const uids = /^Uid:\s+(.+)$/m.exec(status)?.[1]?.split(/\s+/).map(Number) ?? [];
  // A process whose first thread ended looks like a zombie while its other threads still run.
  const dead = /^State:\s+[ZX]/m.test(status) && Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0) <= 1;
  return uids.includes(uid) && !dead;
}

/** Lists the ids of the living processes of a uid. */
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
    // Reading fails with ESRCH when the process ends between open and read.
    return '';
  }
}

/**
 * Kills every process of a uid until two scans in a row find none; throws after 30 s. A process with that very uid sends the signal to
 * every process that it may signal, in one system call. A program that forks quickly cannot outrun that call, and the call cannot reach
 * another uid.
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

/** Stops every process of a uid in the same way, until two scans in a row find no runnable process. */
export function freezeProcessesOf(account: ProcessOwner, clock: Clock): Promise<void> {
  return signalUntil(account, clock, { signal: 'SIGSTOP', survivors: () => listAwakeProcessesOf(account.uid) });
}

/** Continues the processes of a uid, the youngest first. A shell that finds its command still stopped would treat it as a suspended job. */
export async function thawProcessesOf(uid: number): Promise<void> {
  const pids = await listProcessesOf(uid);
  const started = new Map(await Promise.all(pids.map(async (pid) => [pid, await startOf(pid)] as const)));
  signalEach(
    pids.toSorted((a, b) => (started.get(b) ?? 0) - (started.get(a) ?? 0) || b - a),
    uid,
    'SIGCONT',
  );
}

/**
 * Lists the processes of a uid that can run. A process that waits inside the kernel (state D) does not count: it receives the signal before
 * it continues.
 */
export async function listAwakeProcessesOf(uid: number): Promise<number[]> {
  const pids = await listProcessesOf(uid);
  const awake = await Promise.all(pids.map(async (pid) => (await readThreads(pid)).some(isAwake)));
  return pids.filter((_, index) => awake[index]);
}

/** Whether the status of a thread shows that it runs, or will run when its sleep ends. */
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

/** Reads the start time of a process, in ticks since boot. */
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
  /** Lists the processes on which the signal has not taken effect yet. */
  survivors: () => Promise<number[]>;
}

async function signalUntil(account: ProcessOwner, clock: Clock, { signal, survivors }: Signalling): Promise<void> {
  const deadline = clock.monotonicMs() + LIMIT_MS;
  for (let clean = 0; clean < CLEAN_SCANS;) {
    const pids = await survivors();
    clean = pids.length === 0 ? clean + 1 : 0;
    if (pids.length > 0) {
      await signalAll(account, signal);
      // The tenant's processes may kill the sender. They cannot stop root, so root also signals each process.
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

/** Signals the processes one by one. Checks each again just before, because its pid may belong to another process by now. */
function signalEach(pids: number[], uid: number, signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      if (belongsTo(readFileSync(`/proc/${pid}/status`, 'utf8'), uid)) {
        process.kill(pid, signal);
      }
    } catch {
      // The process has ended.
    }
  }
}
