import type { ServerResponse } from 'node:http';

/** What is owed to a client at most: one that reads too slowly for what happens is cut, and comes again. */
const MAX_OWED_BYTES = 8 * 1024 * 1024;
/** So many signs of life in a row find a client that has not read what it was owed: it is cut. */
const PATIENCE = 2;

/** An answer without end, to a client that may read slowly or not at all. Shared buffers are passed on as they are. */
export interface Outlet {
  write(...parts: Buffer[]): void;
  /** To be called at equal intervals. */
  ping(bytes: Buffer): void;
  /** Resolves when nothing is owed, or the answer is over. */
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
