export interface Grouping<T, R> {
  /** Does the caller's part of a group's work. Rejects as that part did, or as the whole group did. */
  join: (item: T) => Promise<R>;
}

export interface GroupWork<T, R> {
  /** A group weighs at most this much, but for a single item that weighs more. */
  max: number;
  weightOf: (item: T) => number;
  /** How many groups are under way at a time at most: one, unless said. */
  lanes?: number;
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
 * as many as the smallest of them: a few beside many would cost as much as many.
 */
export function createGrouping<T, R>({ max, weightOf, lanes = 1, ownerOf = (item) => item, work }: GroupWork<T, R>): Grouping<T, R> {
  let queue: Waiting<T, R>[] = [];
  let isStarting = false;
  const underWay = new Set<Waiting<T, R>[]>();
  const owners = new Set<unknown>();

  /** In order, but for those whose owner has a group under way: their turn comes after it. */
  const nextGroup = (): { group: Waiting<T, R>[]; isFull: boolean } => {
    const mayGo = queue.filter(({ item }) => !owners.has(ownerOf(item)));
    let weight = 0;
    const end = mayGo.findIndex(({ item }, at) => (weight += weightOf(item)) > max && at > 0);
    return end < 0 ? { group: mayGo, isFull: weight >= max } : { group: mayGo.slice(0, end), isFull: true };
  };

  const start = (): void => {
    isStarting = false;
    while (underWay.size < lanes) {
      const least = underWay.size === 0 ? 1 : Math.min(...[...underWay].map(({ length }) => length));
      const { group, isFull } = nextGroup();
      if (group.length < least && !isFull) {
        return;
      }
      const started = new Set(group);
      queue = queue.filter((each) => !started.has(each));
      void run(group);
    }
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
        if (underWay.size < lanes && !isStarting) {
          isStarting = true;
          queueMicrotask(start);
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
