import { describe, expect, it } from '@jest/globals';
import { createGrouping } from './grouping';

/** Groups whose work waits until it is let go, and doubles each number; a negative one fails alone, a zero fails its whole group. */
function aGrouping({ max = 10, lanes = 1 } = {}) {
  const groups: number[][] = [];
  const patience: (() => void)[] = [];
  const clock = { after: (_ms: number, act: () => void) => (patience.push(act), () => void patience.splice(patience.indexOf(act), 1)) };
  const waiting: (() => void)[] = [];
  const { join } = createGrouping<number, number>({
    max,
    weightOf: (item) => Math.abs(item),
    lanes: { count: lanes, patienceMs: 50, clock },
    // Even numbers are one's, odd ones another's.
    ownerOf: (item) => item % 2,
    work: async (items) => {
      groups.push(items);
      await new Promise<void>((resolve) => waiting.push(resolve));
      if (items.includes(0)) {
        throw new Error('the group failed');
      }
      return items.map((item) => (item < 0 ? { status: 'rejected', reason: new Error(`${item} failed`) } : { status: 'fulfilled', value: item * 2 }));
    },
  });
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const finish = async (): Promise<void> => {
    await tick();
    waiting.shift()?.();
    await tick();
  };
  return { groups, join, finish, tick, patience };
}

describe('grouping', () => {
  it('a lone caller starts at once; who comes meanwhile makes up the next group', async () => {
    const { groups, join, finish, tick } = aGrouping();
    const first = join(1);
    await tick();
    const others = [join(2), join(3)];
    expect(groups).toEqual([[1]]);
    await finish();
    expect(groups).toEqual([[1], [2, 3]]);
    await finish();
    expect(await Promise.all([first, ...others])).toEqual([2, 4, 6]);
    const later = join(5);
    await finish();
    expect(await later).toBe(10);
  });

  it('takes in order, up to the weight; what is heavier than that goes alone', async () => {
    const { groups, join, finish } = aGrouping({ max: 5 });
    const all = [2, 3, 1, 9, 4].map((item) => join(item));
    for (let i = 0; i < 4; i += 1) {
      await finish();
    }
    expect(groups).toEqual([[2, 3], [1], [9], [4]]);
    expect(await Promise.all(all)).toEqual([4, 6, 2, 18, 8]);
  });

  it('a second group starts while the first is under way; the third waits for either', async () => {
    const { groups, join, finish, tick } = aGrouping({ lanes: 2 });
    const first = join(1);
    await tick();
    const second = join(2);
    await tick();
    const third = [join(3), join(4)];
    await tick();
    expect(groups).toEqual([[1], [2]]);
    await finish();
    expect(groups).toEqual([[1], [2], [3]]);
    await finish();
    expect(groups).toEqual([[1], [2], [3], [4]]);
    await finish();
    await finish();
    expect(await Promise.all([first, second, ...third])).toEqual([2, 4, 6, 8]);
  });

  it('a group that is smaller than the one under way waits until it is as large, or full, or nothing is under way', async () => {
    const { groups, join, finish, tick } = aGrouping({ lanes: 2 });
    const all = [join(2), join(4)];
    await tick();
    all.push(join(1));
    await tick();
    expect(groups).toEqual([[2, 4]]);
    all.push(join(3));
    await tick();
    expect(groups).toEqual([[2, 4], [1, 3]]);
    all.push(join(6));
    await finish();
    expect(groups).toHaveLength(2);
    await finish();
    expect(groups).toEqual([[2, 4], [1, 3], [6]]);
    await finish();
    all.push(join(2), join(4));
    await tick();
    all.push(join(11));
    await tick();
    expect(groups.slice(3)).toEqual([[2, 4], [11]]);
    await finish();
    await finish();
    expect(await Promise.all(all)).toEqual([4, 8, 2, 6, 12, 4, 8, 22]);
  });

  it('a small group waits no longer than its patience for one that stands still', async () => {
    const { groups, join, tick, finish, patience } = aGrouping({ lanes: 2 });
    const all = [join(2), join(4)];
    await tick();
    all.push(join(1));
    await tick();
    expect(groups).toEqual([[2, 4]]);
    expect(patience).toHaveLength(1);
    patience.shift()?.();
    expect(groups).toEqual([[2, 4], [1]]);
    await finish();
    // One that started before its patience was over leaves none behind.
    all.push(join(6), join(8));
    await tick();
    expect(groups).toEqual([[2, 4], [1], [6]]);
    await finish();
    await finish();
    await finish();
    expect(await Promise.all(all)).toEqual([4, 8, 2, 12, 16]);
    all.push(join(2), join(4));
    await tick();
    all.push(join(1));
    await tick();
    all.push(join(3));
    await tick();
    expect(groups.slice(4)).toEqual([[2, 4], [1, 3]]);
    expect(patience).toHaveLength(0);
  });

  it('one owner\'s are in one group at a time, in order; others pass by', async () => {
    const { groups, join, finish, tick } = aGrouping({ max: 5, lanes: 2 });
    const all = [1, 5, 3].map((item) => join(item));
    await tick();
    all.push(join(2));
    await tick();
    expect(groups).toEqual([[1], [2]]);
    await finish();
    expect(groups).toEqual([[1], [2], [5]]);
    await finish();
    await finish();
    expect(groups).toEqual([[1], [2], [5], [3]]);
    await finish();
    expect(await Promise.all(all)).toEqual([2, 10, 6, 4]);
  });

  it('one failure is the caller\'s own; the failure of the work is that of its group, and the next group goes on', async () => {
    const { join, finish } = aGrouping();
    const settled = Promise.allSettled([join(1), join(-2), join(3)]);
    await finish();
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const failed = Promise.allSettled([join(0), join(1)]);
    await finish();
    expect(await failed).toMatchObject([{ reason: { message: 'the group failed' } }, { reason: { message: 'the group failed' } }]);
    const next = join(4);
    await finish();
    expect(await next).toBe(8);
  });
});
