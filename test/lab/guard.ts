import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { killGroup } from './run';
import { reapScript } from './paths';

/** What the guard removes when the process that made it dies without doing so. */
export type Cleanup =
  | { kind: 'process'; pid: number }
  | { kind: 'workers'; stateDir: string }
  | { kind: 'engine'; dir: string }
  | { kind: 'dir'; path: string };

/** A separate process that cleans up after its parent, even after kill -9 of the parent, and then ends. */
export interface Guard {
  /** Notes a cleanup before it is needed. Synchronous, so that nothing can happen between creating a thing and noting it. */
  note(cleanup: Cleanup): void;
  /** Ends the guard after an orderly cleanup. */
  dismiss(): void;
}

/**
 * Starts the guard.
 *
 * @param watchedPid the process whose end starts the cleanup
 * @param manifest the file with the notes
 */
export function startGuard(watchedPid: number, manifest: string): Guard {
  appendFileSync(manifest, '');
  const args = [reapScript, String(watchedPid), startTimeOf(watchedPid) ?? '0', manifest];
  const child = spawn('bash', args, { detached: true, stdio: 'ignore', cwd: '/' });
  child.unref();
  return {
    note: (cleanup) => appendFileSync(manifest, `${describe(cleanup)}\n`),
    dismiss: () => killGroup(child.pid),
  };
}

function describe(cleanup: Cleanup): string {
  switch (cleanup.kind) {
    case 'process':
      return `process\t${cleanup.pid} ${startTimeOf(cleanup.pid) ?? 0}`;
    case 'workers':
      return `workers\t${cleanup.stateDir}`;
    case 'engine':
      return `engine\t${cleanup.dir}`;
    case 'dir':
      return `dir\t${cleanup.path}`;
  }
}

/** Returns the start time of a process in ticks since boot. Together with the pid, it identifies a process for good. */
export function startTimeOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}
