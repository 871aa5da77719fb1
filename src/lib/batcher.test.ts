import { describe, expect, it } from '@jest/globals';
import { createBatcher, fulfilled } from './batcher';

/**
 * Creates batches whose work waits until the test releases it, and doubles each number. A negative number fails alone, a zero fails its
 * whole batch.
 */
function aBatcher({ max = 10, lanes = 1 } = {}) {
  const batches: number[][] = [];
  const patience: (() => void)[] = [];
  const clock = { after: (_ms: number, act: () => void) => (patience.push(act), () => void patience.splice(patience.indexOf(act), 1)) };
  const waiting: (() => void)[] = [];
  const { add } = createBatcher<number, number>({
    max,
    weightOf: (item) => Math.abs(item),
    lanes: { count: lanes, patienceMs: 50, clock },
    // Even numbers have one owner, odd numbers another.
    ownerOf: (item) => item % 2,
    work: async (items) => {
      batches.push(items);
      await new Promise<void>((resolve) => waiting.push(resolve));
      if (items.includes(0)) {
        throw new Error('the batch failed');
      }
      return items.map((item) =>
        item < 0 ? { status: 'rejected', reason: new Error(`${item} failed`) } : { status: 'fulfilled', value: item * 2 },
      );
    },
  });
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const finish = async (): Promise<void> => {
    await tick();
    waiting.shift()?.();
    await tick();
  };
  return { batches, add, finish, tick, patience };
}

describe('a batcher', () => {
  it('a lone caller starts at once; who comes meanwhile makes up the next batch', async () => {
    const { batches, add, finish, tick } = aBatcher();
    const first = add(1);
    await tick();
    const others = [add(2), add(3)];
    expect(batches).toEqual([[1]]);
    await finish();
    expect(batches).toEqual([[1], [2, 3]]);
    await finish();
    expect(await Promise.all([first, ...others])).toEqual([2, 4, 6]);
    const later = add(5);
    await finish();
    expect(await later).toBe(10);
  });

  it('takes in order, up to the weight; what is heavier than that goes alone', async () => {
    const { batches, add, finish } = aBatcher({ max: 5 });
    const all = [2, 3, 1, 9, 4].map((item) => add(item));
    for (let i = 0; i < 4; i += 1) {
      await finish();
    }
    expect(batches).toEqual([[2, 3], [1], [9], [4]]);
    expect(await Promise.all(all)).toEqual([4, 6, 2, 18, 8]);
  });

  it('a second batch starts while the first is under way; the third waits for either', async () => {
    const { batches, add, finish, tick } = aBatcher({ lanes: 2 });
    const first = add(1);
    await tick();
    const second = add(2);
    await tick();
    const third = [add(3), add(4)];
    await tick();
    expect(batches).toEqual([[1], [2]]);
    await finish();
    expect(batches).toEqual([[1], [2], [3]]);
    await finish();
    expect(batches).toEqual([[1], [2], [3], [4]]);
    await finish();
    await finish();
    expect(await Promise.all([first, second, ...third])).toEqual([2, 4, 6, 8]);
  });

  it('a batch that is smaller than the one under way waits until it is as large, or full, or nothing is under way', async () => {
    const { batches, add, finish, tick } = aBatcher({ lanes: 2 });
    const all = [add(2), add(4)];
    await tick();
    all.push(add(1));
    await tick();
    expect(batches).toEqual([[2, 4]]);
    all.push(add(3));
    await tick();
    expect(batches).toEqual([
      [2, 4],
      [1, 3],
    ]);
    all.push(add(6));
    await finish();
    expect(batches).toHaveLength(2);
    await finish();
    expect(batches).toEqual([[2, 4], [1, 3], [6]]);
    await finish();
    all.push(add(2), add(4));
    await tick();
    all.push(add(11));
    await tick();
    expect(batches.slice(3)).toEqual([[2, 4], [11]]);
    await finish();
    await finish();
    expect(await Promise.all(all)).toEqual([4, 8, 2, 6, 12, 4, 8, 22]);
  });

  it('a small batch waits no longer than its patience for one that stands still', async () => {
    const { batches, add, tick, finish, patience } = aBatcher({ lanes: 2 });
    const all = [add(2), add(4)];
    await tick();
    all.push(add(1));
    await tick();
    expect(batches).toEqual([[2, 4]]);
    expect(patience).toHaveLength(1);
    patience.shift()?.();
    expect(batches).toEqual([[2, 4], [1]]);
    await finish();
    // A batch that started before its patience was over leaves no timer behind.
    all.push(add(6), add(8));
    await tick();
    expect(batches).toEqual([[2, 4], [1], [6]]);
    await finish();
    await finish();
    await finish();
    expect(await Promise.all(all)).toEqual([4, 8, 2, 12, 16]);
    all.push(add(2), add(4));
    await tick();
    all.push(add(1));
    await tick();
    all.push(add(3));
    await tick();
    expect(batches.slice(4)).toEqual([
      [2, 4],
      [1, 3],
    ]);
    expect(patience).toHaveLength(0);
  });

  it("one owner's are in one batch at a time, in order; others pass by", async () => {
    const { batches, add, finish, tick } = aBatcher({ max: 5, lanes: 2 });
    const all = [1, 5, 3].map((item) => add(item));
    await tick();
    all.push(add(2));
    await tick();
    expect(batches).toEqual([[1], [2]]);
    await finish();
    expect(batches).toEqual([[1], [2], [5]]);
    await finish();
    await finish();
    expect(batches).toEqual([[1], [2], [5], [3]]);
    await finish();
    expect(await Promise.all(all)).toEqual([2, 10, 6, 4]);
  });

  it("one failure is the caller's own; the failure of the work is that of its batch, and the next batch goes on", async () => {
    const { add, finish } = aBatcher();
    const outcomes = Promise.allSettled([add(1), add(-2), add(3)]);
    await finish();
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const failed = Promise.allSettled([add(0), add(1)]);
    await finish();
    expect(await failed).toMatchObject([{ reason: { message: 'the batch failed' } }, { reason: { message: 'the batch failed' } }]);
    const next = add(4);
    await finish();
    expect(await next).toBe(8);
  });
});

describe('a batcher with a window', () => {
  const aWindow = (
    max: number,
    work: (items: number[]) => Promise<number[]>,
  ): { add: (item: number) => Promise<number>; close: () => void; seen: number[][] } => {
    const timers: (() => void)[] = [];
    const seen: number[][] = [];
    const clock = { after: (_ms: number, act: () => void) => (timers.push(act), () => void timers.splice(timers.indexOf(act), 1)) };
    const { add } = createBatcher<number, number>({
      window: { ms: 50, clock },
      max,
      work: async (items) => (seen.push(items), fulfilled(await work(items))),
    });
    return { add, close: () => timers.shift()?.(), seen };
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('waits its time for others, works on all of them together, and gives to each its own', async () => {
    const { add, close, seen } = aWindow(10, (items) => Promise.resolve(items.map((n) => n * 2)));
    const all = Promise.all([1, 2, 3].map(add));
    await turn();
    expect(seen).toEqual([]);
    close();
    expect(await all).toEqual([2, 4, 6]);
    expect(seen).toEqual([[1, 2, 3]]);
  });

  it('waits no longer than until a batch is full, and for nobody else while one is worked on', async () => {
    let finish: () => void = () => undefined;
    const { add, close, seen } = aWindow(2, (items) => new Promise((resolve) => (finish = () => resolve(items))));
    const all = [add(1)];
    await turn();
    all.push(add(2), add(3), add(4), add(5));
    await turn();
    expect(seen).toEqual([[1, 2]]);
    finish();
    await turn();
    expect(seen).toEqual([
      [1, 2],
      [3, 4],
    ]);
    finish();
    await turn();
    expect(seen).toHaveLength(2);
    close();
    await turn();
    finish();
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4, 5]);
  });

  it('lets a failure be that of its batch alone', async () => {
    const { add } = aWindow(1, (items) => (items[0] === 1 ? Promise.reject(new Error('no')) : Promise.resolve(items)));
    const [bad, good] = await Promise.allSettled([add(1), add(2)]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { message: 'no' } });
    expect(good).toEqual({ status: 'fulfilled', value: 2 });
  });
});
