import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab';

/** Ways in which the log of a process cannot be written. */
export type BrokenLog = 'full disk' | '/dev/full' | 'unread pipe' | 'closed pipe' | 'stopped terminal';

/** Redirects stderr to a file on a full file system (64 KiB, in a mount namespace that ends with the process). */
const FULL_DISK =
  'mount -t tmpfs -o size=64k none "$1" && { head -c 1m /dev/zero >"$1/ballast" 2>/dev/null; exec 2>"$1/log"; } && shift && exec "$@"';

/** Redirects stderr to a pipe or terminal that is full before the program starts, or whose reader is gone. */
const STREAM = `
import os, sys
kind, program = sys.argv[1], sys.argv[2:]
read, write = os.openpty() if kind == 'stopped terminal' else os.pipe()
if kind == 'closed pipe':
    os.close(read)
else:
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b'.')
    except BlockingIOError:
        os.set_blocking(write, True)
    os.set_inheritable(read, True)
os.dup2(write, 2)
os.execvp(program[0], program)
`;

/**
 * Returns the command prefix that breaks a program's stderr in this way. `disk` is the folder of the full disk, in the mount namespace of
 * the process.
 */
export function breakLog(lab: Lab, kind: BrokenLog): { command: string[]; disk: string } {
  const disk = mkdtempSync(join(lab.dir, 'disk-'));
  switch (kind) {
    case 'full disk':
      return { command: ['unshare', '--mount', 'sh', '-c', FULL_DISK, 'sh', disk], disk };
    case '/dev/full':
      return { command: ['sh', '-c', 'exec 2>/dev/full; exec "$@"', 'sh'], disk };
    case 'unread pipe':
    case 'closed pipe':
    case 'stopped terminal':
      return { command: ['python3', '-c', STREAM, kind], disk };
  }
}
