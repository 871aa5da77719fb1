import { describe, expect, it } from '@jest/globals';
import { createHeadCache } from './head-cache';
import type { StoredHead } from './queries/heads';

describe('the cached head of the audit log', () => {
  it('R41: is read once a second, however many heartbeats ask', async () => {
    let [nowMs, reads] = [0, 0];
    const newest = createHeadCache(() => Promise.resolve({ size: (reads += 1) } as StoredHead), { monotonicMs: () => nowMs });
    await Promise.all(Array.from({ length: 100 }, () => newest(0)));
    expect((await newest(0))?.size).toBe(1);
    nowMs = 1_001;
    await Promise.all(Array.from({ length: 100 }, () => newest(0)));
    expect(reads).toBe(2);
  });

  it('R41: is read again when an agent has a larger one, so that no replica seems to have lost entries', async () => {
    let size = 5;
    const newest = createHeadCache(() => Promise.resolve({ size } as StoredHead), { monotonicMs: () => 0 });
    expect((await newest(0))?.size).toBe(5);
    size = 9;
    expect((await newest(7))?.size).toBe(9);
  });
});
