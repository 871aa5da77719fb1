export interface Grouping<T, R> {
  /** Does the caller's part of a group's work. Rejects as that part did, or as the whole group did. */
  join: (item: T) => Promise<R>;
}

export interface GroupWork<T, R> {
  /** A group weighs at most this much, but for a single item that weighs more. */
  max: number;
  weightOf: (item: T) => number;
  /** Gives one result for each item, in their order. */
  work: (items: T[]) => Promise<PromiseSettledResult<R>[]>;
}

interface Waiting<T, R> {
  item: T;
  resolve: (value: R) => void;
  reject: (reason: unknown) => void;
}

/**
 * Work that is dear to begin and cheap for one more: one group is under way at a time, and whoever comes meanwhile makes up the next one. Nobody
 * waits for company: who comes while nothing is under way starts at once, alone or with those of the same moment.
 */
export function createGrouping<T, R>({ max, weightOf, work }: GroupWork<T, R>): Grouping<T, R> {
  let queue: Waiting<T, R>[] = [];
  let busy = false;

  const take = (): Waiting<T, R>[] => {
    let weight = 0;
    const end = queue.findIndex(({ item }, at) => (weight += weightOf(item)) > max && at > 0);
    const group = end < 0 ? queue : queue.slice(0, end);
    queue = queue.slice(group.length);
    return group;
  };

  const runAll = async (): Promise<void> => {
    while (queue.length > 0) {
      await runOne(take(), work);
    }
    busy = false;
  };

  return {
    join: (item) =>
      new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        if (!busy) {
          busy = true;
          queueMicrotask(() => void runAll());
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
