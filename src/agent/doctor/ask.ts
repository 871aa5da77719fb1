import { execFile } from 'node:child_process';
import { hasCode } from '../files';

export interface Reply {
  code: number;
  /** Standard output and standard error. */
  output: string;
}

/** The PATH that sshd sets for root's commands on most systems. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const TIMEOUT_MS = 8000;

/**
 * Runs a program without a shell and returns its exit code and output. Undefined when it does not exist or cannot be started. Rejects after
 * 8 s.
 */
export function ask(command: string, args: string[], signal: AbortSignal): Promise<Reply | undefined> {
  const options = {
    env: { PATH, LC_ALL: 'C' },
    cwd: '/',
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 1024 * 1024,
    signal,
  } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (hasCode(error, 'ENOENT') || hasCode(error, 'EACCES')) {
        resolve(undefined);
      } else if (error && typeof error.code !== 'number') {
        reject(error.killed ? new Error(`${command} did not end within ${TIMEOUT_MS / 1000} s`) : error);
      } else {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: `${stdout}${stderr}` });
      }
    });
    child.stdin?.end();
  });
}
