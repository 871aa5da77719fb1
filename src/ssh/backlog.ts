import type { Duplex, Readable } from 'node:stream';
import type { Client } from 'ssh2';

/** Above this many unsent bytes, no more data is read for the peer. */
const FULL_BYTES = 1024 * 1024;
/**
 * Unsent bytes that may wait for one peer. A peer that reads stays below: it gets only the data in transit when the buffer was full, and
 * answers.
 */
const MAX_OWED_BYTES = 16 * FULL_BYTES;

/**
 * Stops reading `from` while much data waits for the peer behind `to`. The SSH library checks the windows that a peer grants, and never the
 * stream below. So a peer that grants gigabytes and reads nothing would use up the memory.
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

/** Cuts a peer that sends requests and reads no answers. Must be called when the SSH library has the stream. */
export function cutWhenOwed(stream: Duplex): void {
  stream.on('data', () => {
    if (stream.writableLength > MAX_OWED_BYTES) {
      stream.destroy();
    }
  });
}

/**
 * Limit of the data before the handshake. A machine identifies itself in one line and sends its keys in a few kilobytes. A longer greeting
 * is invalid, and costs the library the square of its length.
 */
const MAX_GREETING_BYTES = 16 * 1024;

/** Cuts a machine that sends too much before the handshake. Must be called when the SSH library has the stream. */
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
