import type { Duplex } from 'node:stream';
import ssh2, { type Client } from 'ssh2';
import { cutWhenOwed, limitGreeting } from '../backlog';
import type { Dial } from '../dial';
import { algorithmsFor } from '../../lib/ssh-algorithms';
import { admitFullPackets } from './ssh2-patch';
import type { Whereabouts } from './types';

export type Present = Extract<Whereabouts, { state: 'present' }>;

export interface NodeConnection {
  client: Client;
  /** The stream below the connection. */
  stream: Duplex;
  at: Present;
  /** Resolves when the connection is gone, for whatever reason. */
  lost: Promise<void>;
}

/** The right machine answers, and does not admit the lease's account. The message is for the user. */
export class LoginRefusedError extends Error {
  override name = 'LoginRefusedError';
}

export const CONNECT_MS = 10_000;
/** With this interval, the loss of a machine is noticed after about six seconds. */
const KEEPALIVE_MS = 2_000;
const KEEPALIVE_MISSES = 2;
/** Characters of the machine's explanation of a refusal (PAM and /etc/nologin send one). */
const MAX_EXPLANATION = 300;

/**
 * Logs in to a lease's account. Rejects with LoginRefusedError when the machine does not admit the account. Rejects with another error when
 * the machine cannot be reached or shows another host key.
 */
export async function logInToNode(
  { dial, privateKey }: { dial: Dial; privateKey: string },
  at: Present,
  signal: AbortSignal,
): Promise<NodeConnection> {
  const connecting = new AbortController();
  const cut = (): void => connecting.abort();
  signal.addEventListener('abort', cut, { once: true });
  const stream = await dial(at.target, connecting.signal);
  const client = new ssh2.Client();
  const [type = '', blob = ''] = at.target.hostKey.split(' ');
  const lost = new Promise<void>((resolve) => {
    client.once('close', () => {
      stream.destroy();
      resolve();
    });
  });
  const failure = watchFailure(client, at);
  // These listeners stay, because an error without a listener would end the process.
  client.on('error', () => client.destroy());
  stream.on('error', () => client.destroy());
  stream.once('close', () => client.destroy());
  client.once('handshake', () => admitFullPackets(client));
  await new Promise<void>((resolve, reject) => {
    client.once('ready', () => resolve());
    void lost.then(() => reject(failure()));
    client.connect({
      sock: stream,
      username: at.username,
      privateKey,
      readyTimeout: CONNECT_MS,
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: KEEPALIVE_MISSES,
      algorithms: { serverHostKey: algorithmsFor(type) as never },
      hostVerifier: (key: Buffer) => key.toString('base64') === blob,
      // UNIX sockets are an extension of OpenSSH that other servers support too.
      strictVendor: false,
    });
    limitGreeting(client, stream);
    cutWhenOwed(stream);
  });
  signal.removeEventListener('abort', cut);
  return { client, stream, at, lost };
}

/**
 * Returns a function that explains why a login failed, after the connection is lost. A machine may also refuse by closing the connection
 * between the key exchange and the login: sshd does so when PAM's account rules do not admit the account.
 */
function watchFailure(client: Client, { nodeName, username }: Present): () => Error {
  let verified = false;
  let broken = false;
  let explanation = '';
  client.once('handshake', () => (verified = true));
  client.on('banner', (text) => (explanation = text));
  client.on('error', ({ level }) => (broken ||= level === 'client-timeout' || level === 'client-socket'));
  return () => {
    if (!verified || broken) {
      return new Error('the machine closed the connection');
    }
    const told = explanation
      .replace(/[\p{C}\s]+/gu, ' ')
      .trim()
      .slice(0, MAX_EXPLANATION);
    const cause =
      told === '' ? 'Its sshd does not admit it (AllowUsers, AllowGroups and expired accounts are usual causes).' : `It answers: ${told}`;
    return new LoginRefusedError(`${nodeName} refuses the login of this lease's account ${username}. ${cause}`);
  };
}
