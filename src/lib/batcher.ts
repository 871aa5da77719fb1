import type { Clock } from './clock';
import { withOrigin } from './origin';

/** Lets those who come at about the same time be worked on together. */
export interface Batcher<T, R> {
  /** Does the caller's part of a batch's work. Rejects as that part did, or as the whole batch did. */
  add: (item: T) => Promise<R>;
}

export interface BatcherOptions<T, R> {
  /** A batch weighs at most this much, but for a single item that weighs more. */
  max: number;
  /** Default: each item weighs 1. */
  weightOf?: (item: T) => number;
  /** How long the first of a batch waits for others where nothing is under way, unless the batch is full. Default: not at all. */
  window?: { ms: number; clock: Pick<Clock, 'after'> };
  /** More than one batch under way at a time: how many at most, and how long one waits at most for as many callers as those under way have. */
  lanes?: { count: number; patienceMs: number; clock: Pick<Clock, 'after'> };
  /** One owner's items are never in two batches at the same time. Without it each item is its own. */
  ownerOf?: (item: T) => unknown;
  /** Gives one result for each item, in their order; see `fulfilled` for work whose parts never fail alone. */
  work: (items: T[]) => Promise<PromiseSettledResult<R>[]>;
}

export const fulfilled = <R>(values: R[]): PromiseSettledResult<R>[] => values.map((value) => ({ status: 'fulfilled', value }));

interface Waiting<T, R> {
  item: T;
  resolve: (value: R) => void;
  reject: (reason: unknown) => void;
}

/**
 * For work that is expensive to begin and cheap to extend. Items that arrive while a batch runs make up the next one, so batches grow with the load. An item
 * that arrives while no batch runs starts at once, or after the window if there is one. With lanes, a further batch starts beside the running ones when it is
 * full, when it is as large as the smallest of them (a few items cost nearly as much as many), or when its patience is over (a running batch may hang).
 */
export function createBatcher<T, R>({ max, weightOf = () => 1, window, lanes, ownerOf = (item) => item, work }: BatcherOptions<T, R>): Batcher<T, R> {
  const queue = createQueue<T, R>({ max, weightOf, ownerOf });
  let isStarting = false;
  let stopWaiting: (() => void) | undefined;
  const underWay = new Set<Waiting<T, R>[]>();
  const mayStart = (): boolean => underWay.size < (lanes?.count ?? 1);
  /** The window is open, and one more item changes nothing about that. */
  const isInWindow = (): boolean => stopWaiting !== undefined && underWay.size === 0 && queue.weight() < max;

  /** How long a batch that is not full waits before it starts; undefined: it starts now. */
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
  /** Of all that wait. */
  weight(): number;
  /** In order, but for those whose owner has a batch under way: their turn comes after it. */
  next(): { batch: Waiting<T, R>[]; isFull: boolean };
  /** These are under way now, until they are released. */
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
