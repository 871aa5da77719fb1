import type { Socket } from 'node:net';
import { type AddressRange, rangesOf } from '../../lib/address-key';
import type { Clock } from '../../lib/clock';

/** Connections before their login. Their number and their time are limited. */
export interface HalfOpen {
  /**
   * Returns false when a range of this address has too many such connections. When there are too many in total, it cuts the oldest
   * connection of the wide range that has most.
   */
  admit(socket: Socket, address: string): boolean;
  /** Cuts the connection when it sends too much. Must be called when the SSH library has the socket. */
  listenTo(socket: Socket): void;
  /** The peer sent its protocol version. */
  greeted(address: string, port: number): void;
  /** The peer logged in. Returns its socket, or undefined when the connection is gone. */
  passed(address: string, port: number): Socket | undefined;
}

const MAX_ALL = 512;
const MAX_PER_ADDRESS = 64;
const LOGIN_MS = 20_000;
/**
 * Limits of the data before the version and before the login. A version line has 255 bytes (RFC 4253, section 4.2), and costs the SSH
 * library the square of its length. Twenty offered keys and a signature stay below the second limit.
 */
const MAX_GREETING_BYTES = 1024;
const MAX_LOGIN_BYTES = 64 * 1024;

interface Waiting {
  socket: Socket;
  ranges: [AddressRange, ...AddressRange[]];
  over: AbortController;
  mayStillSay: number;
}

export function createHalfOpen(clock: Clock): HalfOpen {
  const waiting = new Map<string, Waiting>();
  const counts = createCounts();
  const forget = (id: string): void => {
    const entry = waiting.get(id);
    if (entry && waiting.delete(id)) {
      entry.over.abort();
      entry.ranges.forEach(({ key }) => counts.add(key, -1));
    }
  };
  const oldestOfTheMany = (): string => {
    const sizes = [...waiting.values()].map((entry) => counts.of(widestOf(entry)));
    const most = Math.max(...sizes);
    const [id = '', entry] = [...waiting].find(([, each]) => counts.of(widestOf(each)) === most) ?? [];
    entry?.socket.destroy();
    return id;
  };
  return {
    admit: (socket, address) => {
      const ranges = rangesOf(address);
      if (ranges.some(({ key, share }) => counts.of(key) >= MAX_PER_ADDRESS * share)) {
        return false;
      }
      if (waiting.size >= MAX_ALL) {
        forget(oldestOfTheMany());
      }
      const id = idOf(address, socket.remotePort);
      const over = new AbortController();
      waiting.set(id, { socket, ranges, over, mayStillSay: MAX_GREETING_BYTES });
      ranges.forEach(({ key }) => counts.add(key, 1));
      socket.once('close', () => forget(id));
      void clock.sleep(LOGIN_MS, over.signal).then(() => {
        if (!over.signal.aborted) {
          socket.destroy();
        }
      });
      return true;
    },
    listenTo: (socket) => {
      const id = idOf(socket.remoteAddress ?? '', socket.remotePort);
      limitWords(socket, () => waiting.get(id)?.mayStillSay ?? Infinity);
    },
    greeted: (address, port) => {
      const entry = waiting.get(idOf(address, port));
      if (entry) {
        entry.mayStillSay = MAX_LOGIN_BYTES;
      }
    },
    passed: (address, port) => {
      const id = idOf(address, port);
      const socket = waiting.get(id)?.socket;
      forget(id);
      return socket;
    },
  };
}

const widestOf = ({ ranges }: Waiting): string => (ranges.at(-1) ?? ranges[0]).key;

interface Counts {
  of(range: string): number;
  add(range: string, by: number): void;
}

function createCounts(): Counts {
  const counts = new Map<string, number>();
  const of = (range: string): number => counts.get(range) ?? 0;
  return {
    of,
    add: (range, by) => {
      const now = of(range) + by;
      if (now > 0) {
        counts.set(range, now);
      } else {
        counts.delete(range);
      }
    },
  };
}

function limitWords(socket: Socket, maxBytes: () => number): void {
  const listen = (said: Buffer): void => {
    // Bytes before this chunk, which the SSH library has received by now.
    if (socket.bytesRead - said.length > maxBytes()) {
      socket.destroy();
    } else if (maxBytes() === Infinity) {
      socket.off('data', listen);
    }
  };
  socket.on('data', listen);
}

const idOf = (address: string, port: number | undefined): string => `${address} ${port ?? 0}`;
