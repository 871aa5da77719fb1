import type { Client, ClientChannel, ServerChannel } from 'ssh2';

/** How a channel on the node ended: with a status, by a signal, or without a word because the machine is gone. */
export type Ending = { code: number } | { signal: string; coreDumped: boolean; description: string } | 'lost';

/** Waits for the end of a channel on the node and tells how it came. */
function untilEnded(channel: ClientChannel): Promise<Ending> {
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

/** Undefined: the machine is gone, or does not want to. A short command is over in the very moment that it is there: its end is listened for at once. */
export function openChannel(client: Client, open: OpenChannel): Promise<Opened | undefined> {
  return new Promise((resolve) => {
    const lost = (): void => resolve(undefined);
    client.once('close', lost);
    try {
      open(client, (error, channel) => {
        client.off('close', lost);
        resolve(error ? undefined : { channel, ended: untilEnded(channel) });
      });
    } catch {
      lost();
    }
  });
}

/** Passes the ending on and closes the client's channel after all that was written to it. */
export function endChannel(channel: ServerChannel, ending: Exclude<Ending, 'lost'>): void {
  if (channel.destroyed) {
    return;
  }
  if ('code' in ending) {
    channel.exit(ending.code);
  } else {
    channel.exit(ending.signal, ending.coreDumped, ending.description);
  }
  channel.end();
  channel.once('finish', () => channel.close());
}

/** Bytes both ways, with backpressure. The end of the client's input is passed on; the end of the output is left to the caller. */
export function connectChannels(client: ServerChannel, node: ClientChannel): void {
  client.pipe(node);
  node.pipe(client, { end: false });
  node.stderr.pipe(client.stderr, { end: false });
}
