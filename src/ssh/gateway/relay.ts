import type { Duplex } from 'node:stream';
import type { Channel, Client, ClientChannel, ServerChannel } from 'ssh2';
import { holdBack } from '../backlog';
import type { NodeConnection } from './node-login';

/** How a channel on the node ended: with a status, by a signal, or without a word because the machine is gone. */
export type Ending = { code: number } | { signal: string; coreDumped: boolean; description: string } | 'lost';

/** Waits for the end of a channel on the node and of both its outputs (the SSH library reports it at the end of the first), and tells how it came. */
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
      ending = code === null ? { signal: (signal ?? 'TERM').replace(/^SIG/, ''), coreDumped: Boolean(coreDumped), description: description ?? '' } : { code };
    });
    channel.once('close', () => resolve(ending));
    channel.on('error', () => undefined);
  });
}

/** A channel on the node, and how it will have ended. */
export interface Opened {
  channel: ClientChannel;
  ended: Promise<Ending>;
}

export type OpenChannel = (client: Client, done: (error: Error | undefined, channel: ClientChannel) => void) => void;

/** `refused`: the machine does not want to. A short command is over in the very moment that it is there: its end is listened for at once. */
export function openChannel({ client, lost }: NodeConnection, open: OpenChannel): Promise<Opened | 'lost' | 'refused'> {
  return new Promise((resolve) => {
    void lost.then(() => resolve('lost'));
    try {
      open(client, (error, channel) => {
        if (!error && takesPackets(channel)) {
          resolve({ channel, ended: untilEnded(channel) });
          return;
        }
        // A connection that breaks gives an error as well, in the moment before it is known to be lost.
        setImmediate(() => resolve('refused'));
      });
    } catch {
      client.destroy();
    }
  });
}

/** Passes the ending on and closes the client's channel after all that was written to it, on both outputs. */
export function endChannel(channel: ServerChannel, ending: Exclude<Ending, 'lost'>): void {
  if (channel.destroyed) {
    return;
  }
  if ('code' in ending) {
    channel.exit(ending.code);
  } else {
    channel.exit(ending.signal, ending.coreDumped, ending.description);
  }
  // Its end closes the channel, and would drop what waits for the client's window.
  channel.stderr.end(() => channel.end());
  channel.once('finish', () => channel.close());
}

/** Everybody takes 32 KiB in a packet. Whoever wants much smaller ones wants a flood of them; given 0 the SSH library would cut up its data for ever. */
const MIN_PACKET_BYTES = 1024;

/** Whether the peer of an open channel takes packets of a sensible size. Without that nothing may be written to it. */
export const takesPackets = (channel: Channel): boolean => (channel.outgoing as { packetSize: number }).packetSize >= MIN_PACKET_BYTES;

interface Side<C extends Channel> {
  channel: C;
  /** What the connection of the channel goes over. */
  stream: Duplex;
}

/** Bytes both ways, with backpressure. The end of the client's input is passed on; the end of the output is left to the caller. */
export function connectChannels({ channel: client, stream: toClient }: Side<ServerChannel>, { channel: node, stream: toNode }: Side<ClientChannel>): void {
  holdBack(client, toNode);
  holdBack(node, toClient);
  holdBack(node.stderr, toClient);
  client.pipe(node);
  node.pipe(client, { end: false });
  node.stderr.pipe(client.stderr, { end: false });
}
