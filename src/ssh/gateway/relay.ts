import type { Duplex } from 'node:stream';
import type { Channel, Client, ClientChannel, ServerChannel } from 'ssh2';
import { holdBack } from '../backlog';
import type { NodeConnection } from './node-login';

/** How a channel on the node ended: with a status, by a signal, or without either because the machine is lost. */
export type Ending = { code: number } | { signal: string; coreDumped: boolean; description: string } | 'lost';

/**
 * Waits until a channel on the node and both its outputs have ended, and returns how. The SSH library reports the end already when the
 * first output ends.
 */
async function untilEnded(channel: ClientChannel): Promise<Ending> {
  const allErrors = new Promise((resolve) => channel.stderr.once('close', resolve));
  const ending = await untilClosed(channel);
  await allErrors;
  return ending;
}

function untilClosed(channel: ClientChannel): Promise<Ending> {
  return new Promise((resolve) => {
    let ending: Ending = 'lost';
    channel.once('exit', (...[code, signal, coreDumped, description]: [number | null, string?, unknown?, string?]) => {
      ending =
        code === null
          ? { signal: (signal ?? 'TERM').replace(/^SIG/, ''), coreDumped: Boolean(coreDumped), description: description ?? '' }
          : { code };
    });
    channel.once('close', () => resolve(ending));
    channel.on('error', () => undefined);
  });
}

/** A channel on the node, and the promise of its ending. */
export interface Opened {
  channel: ClientChannel;
  ended: Promise<Ending>;
}

export type OpenChannel = (client: Client, done: (error: Error | undefined, channel: ClientChannel) => void) => void;

/**
 * Opens a channel on the node. `refused`: the machine refuses it. A short command can end at the moment when its channel opens, so its end
 * is awaited at once.
 */
export function openChannel({ client, lost }: NodeConnection, open: OpenChannel): Promise<Opened | 'lost' | 'refused'> {
  return new Promise((resolve) => {
    void lost.then(() => resolve('lost'));
    try {
      open(client, (error, channel) => {
        if (!error && takesPackets(channel)) {
          resolve({ channel, ended: untilEnded(channel) });
          return;
        }
        // A broken connection also gives an error, just before the connection is known to be lost.
        setImmediate(() => resolve('refused'));
      });
    } catch {
      client.destroy();
    }
  });
}

/** Sends the ending to the client and closes its channel after all data on both outputs was written. */
export function endChannel(channel: ServerChannel, ending: Exclude<Ending, 'lost'>): void {
  if (channel.destroyed) {
    return;
  }
  if ('code' in ending) {
    channel.exit(ending.code);
  } else {
    channel.exit(ending.signal, ending.coreDumped, ending.description);
  }
  // Ending the channel closes it, and would drop data that waits for the client's window.
  channel.stderr.end(() => channel.end());
  channel.once('finish', () => channel.close());
}

/**
 * Smallest packet size that a peer may want. Every usual peer takes 32 KiB. Much smaller packets would be a flood. With 0, the SSH library
 * would split its data for ever.
 */
const MIN_PACKET_BYTES = 1024;

/** Returns true when the peer of an open channel takes packets of a sensible size. Otherwise nothing may be written to the channel. */
export const takesPackets = (channel: Channel): boolean => (channel.outgoing as { packetSize: number }).packetSize >= MIN_PACKET_BYTES;

interface Side<C extends Channel> {
  channel: C;
  /** The stream below the channel's connection. */
  stream: Duplex;
}

/** Passes bytes in both directions, with backpressure. It passes on the end of the client's input. The caller ends the output. */
export function connectChannels(
  { channel: client, stream: toClient }: Side<ServerChannel>,
  { channel: node, stream: toNode }: Side<ClientChannel>,
): void {
  holdBack(client, toNode);
  holdBack(node, toClient);
  holdBack(node.stderr, toClient);
  client.pipe(node);
  node.pipe(client, { end: false });
  node.stderr.pipe(client.stderr, { end: false });
}
