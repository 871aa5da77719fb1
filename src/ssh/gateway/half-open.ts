import type { Socket } from 'node:net';
import type { Clock } from '../../lib/clock';

/** Connections that have not proved anything yet: they are few, and for a short time. */
export interface HalfOpen {
  /** False: this address has too many of them. When there are too many at all, the oldest one of the address that has most goes. */
  admit(socket: Socket, address: string): boolean;
  /** Cuts this one when it says too much. To be called when the SSH library has the socket. */
  listenTo(socket: Socket): void;
  /** This one said which protocol it speaks. */
  greeted(address: string, port: number): void;
  /** This one proved who it is. Undefined: it is gone. */
  passed(address: string, port: number): Socket | undefined;
}

const MAX_ALL = 512;
const MAX_PER_ADDRESS = 64;
const LOGIN_MS = 20_000;
/** A greeting has 255 bytes (RFC 4253, section 4.2), and costs the SSH library the square of its length; ten keys with their signatures stay below the other. */
const MAX_GREETING_BYTES = 1024;
const MAX_LOGIN_BYTES = 64 * 1024;

interface Waiting {
  socket: Socket;
  address: string;
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
      counts.add(entry.address, -1);
    }
  };
  const oldestOfTheMany = (): string => {
    const most = counts.most();
    const [id = '', entry] = [...waiting].find(([, { address }]) => counts.of(address) === most) ?? [];
    entry?.socket.destroy();
    return id;
  };
  return {
    admit: (socket, address) => {
      if (counts.of(address) >= MAX_PER_ADDRESS) {
        return false;
      }
      if (waiting.size >= MAX_ALL) {
        forget(oldestOfTheMany());
      }
      const id = idOf(address, socket.remotePort);
      const over = new AbortController();
      waiting.set(id, { socket, address, over, mayStillSay: MAX_GREETING_BYTES });
      counts.add(address, 1);
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

interface Counts {
  of(address: string): number;
  add(address: string, by: number): void;
  most(): number;
}

function createCounts(): Counts {
  const counts = new Map<string, number>();
  const of = (address: string): number => counts.get(address) ?? 0;
  return {
    of,
    add: (address, by) => {
      const now = of(address) + by;
      if (now > 0) {
        counts.set(address, now);
      } else {
        counts.delete(address);
      }
    },
    most: () => Math.max(...counts.values()),
  };
}

function limitWords(socket: Socket, maxBytes: () => number): void {
  const listen = (said: Buffer): void => {
    // What came before this piece: the SSH library has it by now.
    if (socket.bytesRead - said.length > maxBytes()) {
      socket.destroy();
    } else if (maxBytes() === Infinity) {
      socket.off('data', listen);
    }
  };
  socket.on('data', listen);
}

const idOf = (address: string, port: number | undefined): string => `${address} ${port ?? 0}`;
