import type { Clock } from './clock';

export interface BatcherOptions<T, R> {
  /** How long the first of a batch waits for others. */
  windowMs: number;
  /** So many go at once, and more never go together. */
  max: number;
  clock: Clock;
  /** Works on all of them together; gives one result each, in their order. */
  work: (items: T[]) => Promise<R[]>;
}

/** Lets those who come at about the same time be worked on together. */
export interface Batcher<T, R> {
  /** Rejects when the work on its batch failed. */
  add(item: T): Promise<R>;
}

interface Waiting<T, R> {
  item: T;
  resolve: (result: R) => void;
  reject: (error: unknown) => void;
}

/** One batch at a time: what comes while one is being worked on makes the next, so that batches grow with the load. */
export function createBatcher<T, R>({ windowMs, max, clock, work }: BatcherOptions<T, R>): Batcher<T, R> {
  let waiting: Waiting<T, R>[] = [];
  let running = false;
  let full: AbortController | undefined;

  const flush = async (batch: Waiting<T, R>[]): Promise<void> => {
    try {
      const results = await work(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, at) => resolve(results[at] as R));
    } catch (error) {
      batch.forEach(({ reject }) => reject(error));
    }
  };
  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      full = new AbortController();
      if (waiting.length < max) {
        await clock.sleep(windowMs, full.signal);
      }
      const batch = waiting.slice(0, max);
      waiting = waiting.slice(max);
      await flush(batch);
    }
    running = false;
  };

  return {
    add: (item) =>
      new Promise<R>((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (waiting.length >= max) {
          full?.abort();
        }
        if (!running) {
          running = true;
          void run();
        }
      }),
  };
}
