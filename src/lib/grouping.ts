import type { Clock } from './clock';

export interface Grouping<T, R> {
  /** Does the caller's part of a group's work. Rejects as that part did, or as the whole group did. */
  join: (item: T) => Promise<R>;
}

export interface GroupWork<T, R> {
  /** A group weighs at most this much, but for a single item that weighs more. */
  max: number;
  weightOf: (item: T) => number;
  /** More than one group under way at a time: how many at most, and how long one waits at most for as many callers as those under way have. */
  lanes?: { count: number; patienceMs: number; clock: Pick<Clock, 'after'> };
  /** One owner's items are never in two groups at the same time. Without it each item is its own. */
  ownerOf?: (item: T) => unknown;
  /** Gives one result for each item, in their order. */
  work: (items: T[]) => Promise<PromiseSettledResult<R>[]>;
}

interface Waiting<T, R> {
  item: T;
  resolve: (value: R) => void;
  reject: (reason: unknown) => void;
}

/**
 * Work that is dear to begin and cheap for one more: whoever comes while it is under way makes up the next group. Nobody waits for company where
 * nothing is under way: he starts at once, alone or with those of the same moment. A further group starts beside those under way once it is full, or
 * as many as the smallest of them, for a few beside many would cost as much as many; or when its patience is over, for those may stand still.
 */
export function createGrouping<T, R>({ max, weightOf, lanes, ownerOf = (item) => item, work }: GroupWork<T, R>): Grouping<T, R> {
  let queue: Waiting<T, R>[] = [];
  let isStarting = false;
  let stopWaiting: (() => void) | undefined;
  const underWay = new Set<Waiting<T, R>[]>();
  const owners = new Set<unknown>();
  const mayStart = (): boolean => underWay.size < (lanes?.count ?? 1);

  /** In order, but for those whose owner has a group under way: their turn comes after it. */
  const nextGroup = (): { group: Waiting<T, R>[]; isFull: boolean } => {
    const mayGo = queue.filter(({ item }) => !owners.has(ownerOf(item)));
    let weight = 0;
    const end = mayGo.findIndex(({ item }, at) => (weight += weightOf(item)) > max && at > 0);
    return end < 0 ? { group: mayGo, isFull: weight >= max } : { group: mayGo.slice(0, end), isFull: true };
  };

  /** How many it takes to start. */
  const leastToStart = (): number => (underWay.size === 0 ? 1 : Math.min(...[...underWay].map(({ length }) => length)));

  const start = (least = leastToStart): void => {
    while (mayStart()) {
      const { group, isFull } = nextGroup();
      if (group.length === 0) {
        return;
      }
      if (group.length < least() && !isFull) {
        stopWaiting ??= lanes?.clock.after(lanes.patienceMs, losePatience);
        return;
      }
      stopWaiting?.();
      stopWaiting = undefined;
      const started = new Set(group);
      queue = queue.filter((each) => !started.has(each));
      void run(group);
    }
  };

  const losePatience = (): void => {
    stopWaiting = undefined;
    start(() => 1);
  };

  const run = async (group: Waiting<T, R>[]): Promise<void> => {
    const theirs = new Set(group.map(({ item }) => ownerOf(item)));
    underWay.add(group);
    theirs.forEach((owner) => owners.add(owner));
    await runOne(group, work);
    theirs.forEach((owner) => owners.delete(owner));
    underWay.delete(group);
    start();
  };

  return {
    join: (item) =>
      new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        if (mayStart() && !isStarting) {
          isStarting = true;
          queueMicrotask(() => {
            isStarting = false;
            start();
          });
        }
      }),
  };
}

async function runOne<T, R>(group: Waiting<T, R>[], work: GroupWork<T, R>['work']): Promise<void> {
  try {
    const results = await work(group.map(({ item }) => item));
    for (const [at, { resolve, reject }] of group.entries()) {
      const result = results[at];
      if (result?.status === 'fulfilled') {
        resolve(result.value);
      } else {
        reject(result ? result.reason : new Error('a group gave too few results'));
      }
    }
  } catch (error) {
    group.forEach(({ reject }) => reject(error));
  }
}
