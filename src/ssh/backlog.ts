import type { Duplex, Readable } from 'node:stream';
import type { Client } from 'ssh2';

/** From here on nothing more is read that would have to be passed on. */
const FULL_BYTES = 1024 * 1024;
/** Never owed to a peer that reads: what was in hand when it was full, and answers. */
const MAX_OWED_BYTES = 16 * FULL_BYTES;

/**
 * The SSH library looks at the windows that a peer grants and never at the stream beneath: one that grants gigabytes and reads nothing would be
 * written to until memory is used up. This stops reading `from` while much is owed to the peer behind `to`.
 */
export function holdBack(from: Readable, to: Duplex): void {
  let held = false;
  const look = (): void => {
    if (!held && to.writableLength > FULL_BYTES) {
      held = true;
      from.pause();
    }
  };
  const release = (): void => {
    if (held) {
      held = false;
      from.resume();
    }
  };
  const forget = (): void => {
    from.off('data', look);
    to.off('drain', release);
    from.off('end', forget);
    from.off('close', forget);
    to.off('close', forget);
  };
  to.setMaxListeners(0);
  from.on('data', look);
  to.on('drain', release);
  from.once('end', forget);
  from.once('close', forget);
  to.once('close', forget);
}

/** Cuts a peer that asks and asks and reads no answer. To be called when the SSH library has the stream. */
export function cutWhenOwed(stream: Duplex): void {
  stream.on('data', () => {
    if (stream.writableLength > MAX_OWED_BYTES) {
      stream.destroy();
    }
  });
}

/** A machine says in a line who it is, and in a few kilobytes what its keys are. A longer greeting is none, and costs the library the square of its length. */
const MAX_GREETING_BYTES = 16 * 1024;

/** Cuts a machine that never comes to the point. To be called when the SSH library has the stream. */
export function limitGreeting(client: Client, stream: Duplex): void {
  let bytes = 0;
  const count = (chunk: Buffer): void => {
    if (bytes > MAX_GREETING_BYTES) {
      stream.destroy();
    }
    bytes += chunk.length;
  };
  stream.on('data', count);
  client.once('handshake', () => stream.off('data', count));
}
