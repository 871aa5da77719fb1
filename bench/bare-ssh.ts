import ssh2 from 'ssh2';
import type { SshTarget } from '../src/ssh';

/** The least that a probe could be: a handshake, one command, its output, by ssh2 alone and without Nagle's delay. */
export function bareProbe(target: SshTarget, { username, privateKey }: { username: string; privateKey: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.on('error', reject);
    client.on('connect', () => client.setNoDelay(true));
    client.on('ready', () => {
      client.exec('echo orion-ok', (error, channel) => {
        if (error) {
          reject(error);
          return;
        }
        let said = '';
        channel.on('data', (chunk: Buffer) => (said += chunk.toString()));
        channel.on('close', () => {
          client.destroy();
          if (said.trim() === 'orion-ok') {
            resolve();
          } else {
            reject(new Error(`it said ${said}`));
          }
        });
      });
    });
    client.connect({
      host: target.address,
      port: target.port,
      username,
      privateKey,
      algorithms: { serverHostKey: [target.hostKey.split(' ')[0] as never] },
    });
  });
}
