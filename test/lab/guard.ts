import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { killGroup } from './run';
import { reapScript } from './paths';

/** What is to be undone when the process that made it vanishes without a word. */
export type Leftover = { kind: 'process'; pid: number } | { kind: 'workers'; stateDir: string } | { kind: 'engine'; dir: string } | { kind: 'dir'; path: string };

/** A process of its own that outlives its maker, even after kill -9, just long enough to clean up after it. */
export interface Guard {
  /** Synchronous, so that nothing can come between making a thing and noting it. */
  note(leftover: Leftover): void;
  /** For when everything was cleaned in the ordinary way. */
  dismiss(): void;
}

/** @param watchedPid the process whose end sets off the cleaning @param manifest a file that holds the notes */
export function startGuard(watchedPid: number, manifest: string): Guard {
  appendFileSync(manifest, '');
  const args = [reapScript, String(watchedPid), startTimeOf(watchedPid) ?? '0', manifest];
  const child = spawn('bash', args, { detached: true, stdio: 'ignore', cwd: '/' });
  child.unref();
  return {
    note: (leftover) => appendFileSync(manifest, `${describe(leftover)}\n`),
    dismiss: () => killGroup(child.pid),
  };
}

function describe(leftover: Leftover): string {
  switch (leftover.kind) {
    case 'process':
      return `process\t${leftover.pid} ${startTimeOf(leftover.pid) ?? 0}`;
    case 'workers':
      return `workers\t${leftover.stateDir}`;
    case 'engine':
      return `engine\t${leftover.dir}`;
    case 'dir':
      return `dir\t${leftover.path}`;
  }
}

/** Start time in ticks since boot: together with the pid it names a process for good. */
export function startTimeOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[19];
  } catch {
    return undefined;
  }
}
