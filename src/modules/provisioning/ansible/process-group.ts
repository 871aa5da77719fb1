import { readdir, readFile } from 'node:fs/promises';
import type { Clock } from '../../../lib/clock';
import { PLAY_MARK } from './environment';

const ROUNDS = 50;
const PAUSE_MS = 20;

/**
 * Kills a whole play. It kills the process group, then every process with the play's mark in its environment, until it finds none. The
 * second part is for children that left the group: Ansible's workers and ssh masters may call setsid. Returns the pids that survived;
 * normally none.
 */
export async function killPlay(groupId: number, mark: string, clock: Clock): Promise<number[]> {
  signal(-groupId);
  let left: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    left = await markedProcesses(mark);
    if (left.length === 0) {
      return [];
    }
    left.forEach(signal);
    await clock.sleep(PAUSE_MS);
  }
  return left;
}

const KIB = 1024;

/**
 * Computes the private memory of a play's processes in bytes, without files and libraries. Memory that a fork still shares with its parent
 * counts for both.
 */
export async function memoryOfPlay(mark: string): Promise<number> {
  const texts = await Promise.all(
    (await markedProcesses(mark)).map((pid) => readFile(`/proc/${String(pid)}/status`, 'latin1').catch(() => '')),
  );
  return texts.reduce((sum, text) => sum + KIB * Number(/^RssAnon:\s+(\d+) kB/m.exec(text)?.[1] ?? 0), 0);
}

/** Lists the pids of the processes whose environment contains the mark of the play. A zombie has no environment any more. */
async function markedProcesses(mark: string): Promise<number[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const entry = `\0${PLAY_MARK}=${mark}\0`;
  const marked = await Promise.all(
    pids.map(async (pid) => `\0${await readFile(`/proc/${String(pid)}/environ`, 'latin1').catch(() => '')}`.includes(entry)),
  );
  return pids.filter((_, index) => marked[index]);
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has ended.
  }
}
