import type { ServerResponse } from 'node:http';

/** Bytes that may wait for one client. A client that reads too slowly is disconnected, and connects again. */
const MAX_OWED_BYTES = 8 * 1024 * 1024;
/** Pings in a row that may find unread data. At the next such ping, the client is disconnected. */
const PATIENCE = 2;

/** An endless answer to a client that may read slowly or not at all. It passes shared buffers on without a copy. */
export interface Outlet {
  write(...parts: Buffer[]): void;
  /** Sends a ping. Must be called at equal intervals. */
  ping(bytes: Buffer): void;
  /** Resolves when no data waits for the client, or the answer has ended. */
  taken(): Promise<void>;
}

export function createOutlet(res: ServerResponse): Outlet {
  let unread = 0;
  res.on('drain', () => (unread = 0));
  const write = (...parts: Buffer[]): void => {
    if (res.writableEnded || res.destroyed) {
      return;
    }
    res.cork();
    parts.forEach((part) => res.write(part));
    res.uncork();
    if (res.writableLength > MAX_OWED_BYTES) {
      res.destroy();
    }
  };
  return {
    write,
    ping: (bytes) => {
      unread = res.writableNeedDrain ? unread + 1 : 0;
      if (unread > PATIENCE) {
        res.destroy();
      } else {
        write(bytes);
      }
    },
    taken: () =>
      new Promise((resolve) => {
        if (!res.writableNeedDrain || res.destroyed) {
          resolve();
          return;
        }
        const done = (): void => {
          res.off('drain', done);
          res.off('close', done);
          resolve();
        };
        res.on('drain', done);
        res.on('close', done);
      }),
  };
}
