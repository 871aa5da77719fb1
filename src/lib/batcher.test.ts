import { describe, expect, it } from '@jest/globals';
import { createBatcher } from './batcher';
import { type Clock, systemClock } from './clock';

/** Rests end when they are told to, or cut. */
function aClock(): { clock: Clock; rests: (() => void)[] } {
  const rests: (() => void)[] = [];
  const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      rests.push(resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  return { rests, clock: { ...systemClock, now: () => new Date(0), monotonicMs: () => 0, sleep } };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a batcher', () => {
  it('waits its time for others, works on all of them together, and gives to each his own', async () => {
    const { clock, rests } = aClock();
    const seen: number[][] = [];
    const batcher = createBatcher({ windowMs: 50, max: 10, clock, work: (items: number[]) => (seen.push(items), Promise.resolve(items.map((n) => n * 2))) });
    const all = Promise.all([1, 2, 3].map((n) => batcher.add(n)));
    await turn();
    expect(seen).toEqual([]);
    rests[0]?.();
    expect(await all).toEqual([2, 4, 6]);
    expect(seen).toEqual([[1, 2, 3]]);
  });

  it('waits no longer than until a batch is full, and for nobody else while one is worked on', async () => {
    const { clock, rests } = aClock();
    const seen: number[][] = [];
    let finish: () => void = () => undefined;
    const work = (items: number[]): Promise<number[]> => new Promise((resolve) => (seen.push(items), (finish = () => resolve(items))));
    const batcher = createBatcher({ windowMs: 50, max: 2, clock, work });
    const all = Promise.all([1, 2, 3, 4, 5].map((n) => batcher.add(n)));
    await turn();
    expect(seen).toEqual([[1, 2]]);
    finish();
    await turn();
    expect(seen).toEqual([[1, 2], [3, 4]]);
    finish();
    await turn();
    expect(seen).toHaveLength(2);
    rests.at(-1)?.();
    await turn();
    finish();
    expect(await all).toEqual([1, 2, 3, 4, 5]);
  });

  it('lets a failure be that of its batch alone', async () => {
    const { clock } = aClock();
    const batcher = createBatcher({ windowMs: 50, max: 1, clock, work: (items: number[]) => (items[0] === 1 ? Promise.reject(new Error('no')) : Promise.resolve(items)) });
    const [bad, good] = await Promise.allSettled([batcher.add(1), batcher.add(2)]);
    expect(bad).toMatchObject({ status: 'rejected', reason: expect.objectContaining({ message: 'no' }) as unknown });
    expect(good).toEqual({ status: 'fulfilled', value: 2 });
  });
});
