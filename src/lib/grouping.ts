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
 * Work that is dear to begin and cheap for one more: whoever comes while all lanes are busy makes up the next group. Nobody waits for company: who
 * comes while a lane is idle starts at once, alone or with those of the same moment.
 */
export function createGrouping<T, R>({ max, weightOf, lanes = 1, ownerOf = (item) => item, work }: GroupWork<T, R>): Grouping<T, R> {
  let queue: Waiting<T, R>[] = [];
  let idle = lanes;
  const owners = new Set<unknown>();

  /** In order, but for those whose owner has a group under way: their turn comes after it. */
  const take = (): Waiting<T, R>[] => {
    const mayGo = queue.filter(({ item }) => !owners.has(ownerOf(item)));
    let weight = 0;
    const end = mayGo.findIndex(({ item }, at) => (weight += weightOf(item)) > max && at > 0);
    const group = new Set(end < 0 ? mayGo : mayGo.slice(0, end));
    queue = queue.filter((each) => !group.has(each));
    return [...group];
  };

  const runLane = async (): Promise<void> => {
    for (let group = take(); group.length > 0; group = take()) {
      const theirs = new Set(group.map(({ item }) => ownerOf(item)));
      theirs.forEach((owner) => owners.add(owner));
      await runOne(group, work);
      theirs.forEach((owner) => owners.delete(owner));
    }
    idle += 1;
  };

  return {
    join: (item) =>
      new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        if (idle > 0) {
          idle -= 1;
          queueMicrotask(() => void runLane());
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
