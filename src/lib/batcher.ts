import type { Clock } from './clock';
import { withOrigin } from './origin';

/** Works on items together that arrive at about the same time. */
export interface Batcher<T, R> {
  /** Adds an item to a batch and returns its result. Rejects when the work on this item or on the whole batch failed. */
  add: (item: T) => Promise<R>;
}

export interface BatcherOptions<T, R> {
  /** Maximum weight of a batch. A single heavier item is a batch of its own. */
  max: number;
  /** Default: each item weighs 1. */
  weightOf?: (item: T) => number;
  /** How long the first item of a batch waits for others while no batch runs, unless the batch is full. Default: not at all. */
  window?: { ms: number; clock: Pick<Clock, 'after'> };
  /**
   * Concurrency: how many batches run at a time, and how long a batch waits at most to become as large as the running ones. Default: one
   * batch.
   */
  lanes?: { count: number; patienceMs: number; clock: Pick<Clock, 'after'> };
  /** Items of the same owner are never in two running batches. Default: each item is its own owner. */
  ownerOf?: (item: T) => unknown;
  /** Returns one result for each item, in their order. See `fulfilled` for work whose items never fail alone. */
  work: (items: T[]) => Promise<PromiseSettledResult<R>[]>;
}

export const fulfilled = <R>(values: R[]): PromiseSettledResult<R>[] => values.map((value) => ({ status: 'fulfilled', value }));

interface Waiting<T, R> {
  item: T;
  resolve: (value: R) => void;
  reject: (reason: unknown) => void;
}

/**
 * Creates a batcher, for work that is expensive to begin and cheap to extend. Items that arrive while a batch runs form the next batch, so
 * batches grow with the load. An item that arrives while no batch runs starts at once, or after the window if there is one.
 *
 * With `lanes`, a further batch starts beside the running ones when it is full. It also starts when it is as large as the smallest of them,
 * because a few items cost nearly as much as many. And it starts when its patience is over, because a running batch may hang.
 */
export function createBatcher<T, R>({
  max,
  weightOf = () => 1,
  window,
  lanes,
  ownerOf = (item) => item,
  work,
}: BatcherOptions<T, R>): Batcher<T, R> {
  const queue = createQueue<T, R>({ max, weightOf, ownerOf });
  let isStarting = false;
  let stopWaiting: (() => void) | undefined;
  const underWay = new Set<Waiting<T, R>[]>();
  const mayStart = (): boolean => underWay.size < (lanes?.count ?? 1);
  /** True: the window is open, and one more item does not close it. */
  const isInWindow = (): boolean => stopWaiting !== undefined && underWay.size === 0 && queue.weight() < max;

  /** Returns how long a batch that is not full waits before it starts. Undefined: it starts now. */
  const waitOf = ({ length }: Waiting<T, R>[]): { ms: number; clock: Pick<Clock, 'after'> } | undefined => {
    if (underWay.size === 0) {
      return window;
    }
    const isSmall = length < Math.min(...[...underWay].map((other) => other.length));
    return isSmall && lanes ? { ms: lanes.patienceMs, clock: lanes.clock } : undefined;
  };
  const start = (isPatient = true): void => {
    while (mayStart()) {
      const { batch, isFull } = queue.next();
      if (batch.length === 0) {
        return;
      }
      const wait = isPatient && !isFull ? waitOf(batch) : undefined;
      if (wait) {
        stopWaiting ??= wait.clock.after(wait.ms, losePatience);
        return;
      }
      stopWaiting?.();
      stopWaiting = undefined;
      void run(batch);
    }
  };
  const losePatience = (): void => {
    stopWaiting = undefined;
    start(false);
  };
  const run = async (batch: Waiting<T, R>[]): Promise<void> => {
    underWay.add(batch);
    queue.take(batch);
    await runOne(batch, work);
    queue.release(batch);
    underWay.delete(batch);
    start();
  };

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        if (mayStart() && !isStarting && !isInWindow()) {
          isStarting = true;
          queueMicrotask(() => {
            isStarting = false;
            start();
          });
        }
      }),
  };
}

interface Queue<T, R> {
  push(waiting: Waiting<T, R>): void;
  /** Weight of all waiting items. */
  weight(): number;
  /** Returns the next items in order. It skips items whose owner has a running batch. */
  next(): { batch: Waiting<T, R>[]; isFull: boolean };
  /** Moves these items from the queue to the running ones, until they are released. */
  take(batch: Waiting<T, R>[]): void;
  release(batch: Waiting<T, R>[]): void;
}

function createQueue<T, R>({ max, weightOf, ownerOf }: Required<Pick<BatcherOptions<T, R>, 'max' | 'weightOf' | 'ownerOf'>>): Queue<T, R> {
  let waiting: Waiting<T, R>[] = [];
  let total = 0;
  const owners = new Set<unknown>();
  return {
    push: (one) => {
      waiting.push(one);
      total += weightOf(one.item);
    },
    weight: () => total,
    next: () => {
      const mayGo = waiting.filter(({ item }) => !owners.has(ownerOf(item)));
      let weight = 0;
      const end = mayGo.findIndex(({ item }, at) => (weight += weightOf(item)) > max && at > 0);
      return end < 0 ? { batch: mayGo, isFull: weight >= max } : { batch: mayGo.slice(0, end), isFull: true };
    },
    take: (batch) => {
      const taken = new Set(batch);
      waiting = waiting.filter((one) => !taken.has(one));
      batch.forEach(({ item }) => {
        total -= weightOf(item);
        owners.add(ownerOf(item));
      });
    },
    release: (batch) => batch.forEach(({ item }) => owners.delete(ownerOf(item))),
  };
}

/** The batch is not a part of the call that happens to start it. */
async function runOne<T, R>(batch: Waiting<T, R>[], work: BatcherOptions<T, R>['work']): Promise<void> {
  try {
    const results = await withOrigin(null, () => work(batch.map(({ item }) => item)));
    for (const [at, { resolve, reject }] of batch.entries()) {
      const result = results[at];
      if (result?.status === 'fulfilled') {
        resolve(result.value);
      } else {
        reject(result ? result.reason : new Error('a batch gave too few results'));
      }
    }
  } catch (error) {
    batch.forEach(({ reject }) => reject(error));
  }
}
