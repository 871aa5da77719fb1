import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCloser } from '../../src/lib/closer';
import { createLogger, jsonLineSink } from '../../src/lib/logger';
import { startGuard, type Cleanup } from './guard';

/** Collects what a test opens and must not leave behind: a folder, and servers that are stopped in reverse order. */
export interface Lab {
  /** A new folder below os.tmpdir(), deleted at the end. */
  dir: string;
  /** True: the lab's processes do not keep this process from ending, because they belong to the watched process. */
  background: boolean;
  /** Registers a closer. Closers run in reverse order, each with its own time limit. A failing one does not stop the others. */
  push(name: string, close: () => Promise<void> | void, limitMs?: number): void;
  /** Notes what must be cleaned up if this process is killed before it can close the lab. */
  note(cleanup: Cleanup): void;
  /** Idempotent; never rejects. */
  close(): Promise<void>;
}

export interface LabOptions {
  /** The process whose end closes the lab at the latest. Default: this one. */
  watchedPid?: number;
}

/** Opens a lab. Every server of this folder takes a lab as its first argument and closes with it. */
export function createLab(options: LabOptions = {}): Lab {
  // Servers that run as other users must read these files, whatever the caller's umask is. Secrets get a mode of their own.
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
    note: (cleanup) => guard.note(cleanup),
    close: () => closer.close(),
  };
}
