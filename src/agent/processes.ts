import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import type { Clock } from '../lib/clock';
import { readTextIfPresent } from './files';

const CLEAN_SCANS = 2;
const PAUSE_MS = 50;
const LIMIT_MS = 30_000;

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
export async function killProcessesOf(uid: number, gid: number, clock: Clock): Promise<number> {
  const deadline = clock.monotonicMs() + LIMIT_MS;
  const killed = new Set<number>();
  for (let clean = 0; clean < CLEAN_SCANS; ) {
    const pids = await listProcessesOf(uid);
    clean = pids.length === 0 ? clean + 1 : 0;
    if (pids.length > 0) {
      pids.forEach((pid) => killed.add(pid));
      await signalAll(uid, gid);
    }
    if (clock.monotonicMs() > deadline) {
      throw new Error(`processes of uid ${uid} survive`);
    }
    await clock.sleep(PAUSE_MS);
  }
  return killed.size;
}

function signalAll(uid: number, gid: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const killer = spawn('/bin/sh', ['-c', 'kill -9 -1'], { uid, gid, cwd: '/', env: {}, stdio: 'ignore' });
    killer.on('error', reject);
    killer.on('exit', () => resolve());
  });
}
