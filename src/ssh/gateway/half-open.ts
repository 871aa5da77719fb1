import type { Socket } from 'node:net';
import type { Clock } from '../../lib/clock';

/** Connections that have not proved anything yet: they are few, and for a short time. */
export interface HalfOpen {
  /** False: this address has too many of them. When there are too many at all, the oldest one goes. */
  admit(socket: Socket, address: string): boolean;
  /** This one proved who it is. */
  passed(address: string, port: number): void;
}

const MAX_ALL = 512;
const MAX_PER_ADDRESS = 64;
const LOGIN_MS = 20_000;

export function createHalfOpen(clock: Clock): HalfOpen {
  const waiting = new Map<string, { socket: Socket; address: string; over: AbortController }>();
  const counts = new Map<string, number>();
  const count = (address: string, by: number): void => {
    const now = (counts.get(address) ?? 0) + by;
    if (now > 0) {
      counts.set(address, now);
    } else {
      counts.delete(address);
    }
  };
  const forget = (id: string): void => {
    const entry = waiting.get(id);
    if (entry && waiting.delete(id)) {
      entry.over.abort();
      count(entry.address, -1);
    }
  };
  return {
    admit: (socket, address) => {
      if ((counts.get(address) ?? 0) >= MAX_PER_ADDRESS) {
        return false;
      }
      const [oldest] = waiting;
      if (waiting.size >= MAX_ALL && oldest) {
        oldest[1].socket.destroy();
        forget(oldest[0]);
      }
      const id = `${address} ${socket.remotePort ?? 0}`;
      const over = new AbortController();
      waiting.set(id, { socket, address, over });
      count(address, 1);
      socket.once('close', () => forget(id));
      void clock.sleep(LOGIN_MS, over.signal).then(() => {
        if (!over.signal.aborted) {
          socket.destroy();
        }
      });
      return true;
    },
    passed: (address, port) => forget(`${address} ${port}`),
  };
}
