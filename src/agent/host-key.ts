import { execFile } from 'node:child_process';
import { hasCode } from './files';

const TIMEOUT_MS = 30_000;
/** Namespace of the signature, so that it is valid for nothing else. */
const NAMESPACE = 'orion-register';

/**
 * Signs with the private half of the machine's host key. Uses ssh-keygen (OpenSSH 8.1 or newer), which reads every kind of host key.
 * Returns the signature as one line of base64.
 *
 * @param publicKeyFile `….pub`; the private key is beside it
 */
export function signAsHost(publicKeyFile: string, message: Buffer): Promise<string> {
  const file = publicKeyFile.replace(/\.pub$/, '');
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
  return new Promise((resolve, reject) => {
    const signer = execFile(
      'ssh-keygen',
      ['-q', '-Y', 'sign', '-f', file, '-n', NAMESPACE],
      { env, timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 },
      (error, stdout, stderr) => {
        const signature = stdout.replace(/-----[^-]+-----|\s/g, '');
        if (!error && signature !== '') {
          resolve(signature);
          return;
        }
        const why = hasCode(error, 'ENOENT') ? 'ssh-keygen is not installed' : stderr.trim() || error?.message || 'it said nothing';
        reject(new Error(`the host key ${file} cannot sign (it takes ssh-keygen of OpenSSH 8.1 or newer, and the private key): ${why}`));
      },
    );
    signer.stdin?.on('error', () => undefined);
    signer.stdin?.end(message);
  });
}
