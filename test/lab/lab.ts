import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCloser } from '../../src/lib/closer';
import { createLogger, jsonLineSink } from '../../src/lib/logger';
import { startGuard, type Leftover } from './guard';

/** What a test opens and must not leave behind: a folder, and servers that are ended in reverse order. */
export interface Lab {
  /** An own folder below os.tmpdir(), deleted at the end. */
  dir: string;
  /** Its processes do not keep this one from ending: they belong to the watched one. */
  background: boolean;
  /** Registers a closing; they run in reverse order, each within its limit, and a failing one does not keep the others. */
  push(name: string, close: () => Promise<void> | void, limitMs?: number): void;
  /** Notes what has to be undone if this process is killed before it can close the lab. */
  note(leftover: Leftover): void;
  /** Idempotent; never rejects. */
  close(): Promise<void>;
}

export interface LabOptions {
  /** The process with which the lab ends at the latest. Default: this one. */
  watchedPid?: number;
}

/** Opens a lab. Every server of this folder takes one as its first argument and closes with it. */
export function createLab(options: LabOptions = {}): Lab {
  // Servers that run as other users read what is made here, whatever the caller's umask keeps from them; secrets are given their mode.
  process.umask(0o022);
  const dir = mkdtempSync(join(tmpdir(), 'orion-lab-'));
  const guard = startGuard(options.watchedPid ?? process.pid, join(dir, 'guard.list'));
  const closer = createCloser(createLogger('warn', jsonLineSink, { lab: dir }));
  guard.note({ kind: 'dir', path: dir });
  closer.push('guard', () => guard.dismiss());
  closer.push('folder', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  return {
    dir,
    background: options.watchedPid !== undefined,
    push: (name, close, limitMs = 30_000) => closer.push(name, close, limitMs),
    note: (leftover) => guard.note(leftover),
    close: () => closer.close(),
  };
}
