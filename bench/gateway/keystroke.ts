import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import ssh2, { type ClientChannel } from 'ssh2';
import { eventually } from '../../test/lab';
import { timeMs } from '../measure';
import type { Way } from './site';

/** Somebody at a shell in which every key comes back by way of the machine's own terminal and one small program. */
export interface Typist {
  /** From the key to its echo. */
  strokeMs(): Promise<number>;
  close(): void;
}

/** In the middle of `ready`, so that the echo of the line itself is not taken for it. */
const ECHO = 'exec sh -c \'stty raw -echo; printf rea""dy; exec cat\'\n';

export async function seatTypist({ target }: Way): Promise<Typist> {
  const client = new ssh2.Client();
  const sock = connect({ host: target.address, port: target.port, noDelay: true });
  const [, blob = ''] = target.hostKey.split(' ');
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.once('error', reject);
    client.once('ready', () => client.shell({ term: 'xterm' }, (error, opened) => (error ? reject(error) : resolve(opened))));
    client.connect({
      sock,
      username: target.user,
      privateKey: readFileSync(target.keyFile),
      algorithms: { serverHostKey: ['ssh-ed25519'] },
      hostVerifier: (key: Buffer) => key.toString('base64') === blob,
    });
  });
  let shown = '';
  const show = (chunk: Buffer): void => {
    shown += chunk.toString();
  };
  channel.on('data', show);
  channel.write(ECHO);
  await eventually(() => shown.endsWith('ready'), { what: 'every key comes back', timeoutMs: 30_000 });
  channel.off('data', show);
  return {
    strokeMs: () =>
      timeMs(
        () =>
          new Promise<void>((resolve) => {
            channel.once('data', () => resolve());
            channel.write('x');
          }),
      ),
    close: () => void client.destroy(),
  };
}
