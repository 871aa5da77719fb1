import { describe, expect, it } from '@jest/globals';
import { coalesce } from './coalesce';

/** Work that ends when the test ends it. */
function createWork(): { runs: { key: string; end: (value: number) => void; fail: () => void }[]; work: (key: string) => Promise<number> } {
  const runs: { key: string; end: (value: number) => void; fail: () => void }[] = [];
  return { runs, work: (key) => new Promise((resolve, reject) => runs.push({ key, end: resolve, fail: () => reject(new Error('no')) })) };
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('sharing runs', () => {
  it('gives those who come while one runs the next, all of them the same', async () => {
    const { runs, work } = createWork();
    const ask = coalesce(work);
    const first = ask('a');
    const later = [ask('a'), ask('a'), ask('a')];
    expect(runs).toHaveLength(1);
    runs[0]?.end(1);
    expect(await first).toBe(1);
    await tick();
    later.push(ask('a'));
    expect(runs).toHaveLength(2);
    runs[1]?.end(2);
    expect(await Promise.all(later.slice(0, 3))).toEqual([2, 2, 2]);
    await tick();
    runs[2]?.end(3);
    expect(await later[3]).toBe(3);
  });

  it('keeps keys apart, and goes on after a failure', async () => {
    const { runs, work } = createWork();
    const ask = coalesce(work);
    const [a, b, again] = [ask('a'), ask('b'), ask('a')];
    runs[0]?.fail();
    runs[1]?.end(7);
    await expect(a).rejects.toThrow('no');
    expect(await b).toBe(7);
    await tick();
    runs[2]?.end(8);
    expect(await again).toBe(8);
  });
});
