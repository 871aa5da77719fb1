import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, projectDir, type Worker } from '../../lab';

export interface SharedMount {
  /** Freezes the server: every access to the mount point hangs. */
  freeze(): void;
  thaw(): void;
}

export interface SharedMountOptions {
  /** A folder of the host. Several workers that mount it share its content. */
  folder: string;
  point: string;
  /** File system type in mountinfo; it must begin with `fuse`. */
  type?: string;
  /** Root of the worker has no access to the content. */
  squash?: boolean;
}

/** Mounts a file system in a worker. It stores the uids of the writers, as NFS does. It is unmounted when the lab closes. */
export async function mountShared(
  lab: Lab,
  worker: Worker,
  { folder, point, type = 'fuse.shared', squash = false }: SharedMountOptions,
): Promise<SharedMount> {
  const [pid = ''] = readFileSync(join(worker.logs, '..', 'pid'), 'utf8').split(' ');
  const program = join(projectDir, 'test', 'support', 'shared-mount', 'passthrough.py');
  const server = spawn('python3', [program, folder, pid, point, type, ...(squash ? ['squash'] : [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  lab.push('shared mount', () => {
    server.kill('SIGKILL');
    return Promise.resolve();
  });
  await untilUp(server);
  return { freeze: () => void server.kill('SIGSTOP'), thaw: () => void server.kill('SIGCONT') };
}

function untilUp(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    server.stdout?.once('data', () => resolve());
    server.stderr?.on('data', (text: Buffer) => (complaint += text.toString()));
    server.once('exit', (code) => reject(new Error(`the shared mount ended with ${String(code)}: ${complaint}`)));
  });
}
