import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createEventFollower, type EventSource } from './follow-events';

/** A table whose rows appear in any order. */
function createTable(): EventSource & { commit(...ids: number[]): void; asked: number[] } {
  const ids = new Set<number>();
  const asked: number[] = [];
  const mark = (id: number): { id: number; nodeId: number } => ({ id, nodeId: id });
  return {
    asked,
    commit: (...committed) => committed.forEach((id) => ids.add(id)),
    findLastId: () => Promise.resolve(Math.max(0, ...ids)),
    listAfter: (afterId, limit) =>
      Promise.resolve(
        [...ids]
          .filter((id) => id > afterId)
          .sort((a, b) => a - b)
          .slice(0, limit)
          .map(mark),
      ),
    find: (wanted) => {
      asked.push(wanted.length);
      return Promise.resolve(wanted.filter((id) => ids.has(id)).map(mark));
    },
  };
}

const idsOf = async (follower: ReturnType<typeof createEventFollower>): Promise<number[]> =>
  (await follower.next()).events.map(({ id }) => id);

describe('following the events', () => {
  it('gives each event once, in whatever order they are committed', async () => {
    const order = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(order, fc.integer({ min: 1, max: 7 }), async (ids, atOnce) => {
        const table = createTable();
        const follower = createEventFollower(table, () => 0);
        await follower.next();
        const given: number[] = [];
        for (let from = 0; from < ids.length; from += atOnce) {
          table.commit(...ids.slice(from, from + atOnce));
          given.push(...(await idsOf(follower)));
        }
        expect([...given].sort((a, b) => a - b)).toEqual([...ids].sort((a, b) => a - b));
      }),
    );
  });

  it('begins with what comes after the first look, late ones included', async () => {
    const table = createTable();
    table.commit(1, 2, 4);
    const follower = createEventFollower(table, () => 0);
    expect(await idsOf(follower)).toEqual([]);
    table.commit(3, 5);
    expect((await idsOf(follower)).sort()).toEqual([3, 5]);
    expect(await idsOf(follower)).toEqual([]);
  });

  it('forgets what was rolled back, after a minute', async () => {
    const table = createTable();
    let now = 0;
    const follower = createEventFollower(table, () => now);
    await follower.next();
    table.commit(3);
    await follower.next();
    now = 59_000;
    await follower.next();
    expect(table.asked.at(-1)).toBe(2);
    now = 61_000;
    await follower.next();
    await follower.next();
    expect(table.asked.at(-1)).toBe(0);
  });

  it('remembers a bounded number of gaps, whatever ids are given out', async () => {
    const table = createTable();
    table.commit(1);
    const follower = createEventFollower(table, () => 0);
    await follower.next();
    table.commit(1_000_000, 1_000_000_000);
    await follower.next();
    await follower.next();
    await follower.next();
    expect(Math.max(...table.asked.slice(-1))).toBeLessThanOrEqual(5_000);
  });

  it('says when there is more than a batch', async () => {
    const table = createTable();
    const follower = createEventFollower(table, () => 0);
    await follower.next();
    table.commit(...Array.from({ length: 1_500 }, (_, nth) => nth + 1));
    expect(await follower.next()).toMatchObject({ more: true });
    expect((await follower.next()).events).toHaveLength(500);
  });
});
