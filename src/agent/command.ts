import { execFile } from 'node:child_process';
import { hasCode } from './files';

const TIMEOUT_MS = 30_000;

/**
 * Runs one of the system's account tools, without a shell. Resolves false when the tool is not installed, and true when it succeeded.
 * Rejects with the tool's error output when it failed.
 */
export function runIfInstalled(command: string, args: string[]): Promise<boolean> {
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
  return new Promise((resolve, reject) => {
    execFile(command, args, { env, timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 }, (error, _stdout, stderr) => {
      if (hasCode(error, 'ENOENT')) {
        resolve(false);
      } else if (error) {
        reject(new Error(`${command} failed: ${stderr.trim() || error.message}`));
      } else {
        resolve(true);
      }
    });
  });
}
