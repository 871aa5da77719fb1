import { describe, expect, it } from '@jest/globals';
import { createMemoryReturn } from './memory-return';

describe('the return of memory', () => {
  it('collects once after many things have gone, and not for a few', () => {
    let due: (() => void) | undefined;
    let collected = 0;
    const clock = { after: (_ms: number, act: () => void) => ((due = act), () => (due = undefined)) };
    const memory = createMemoryReturn(clock, () => (collected += 1));
    Array.from({ length: 499 }, () => memory.gone());
    expect(due).toBeUndefined();
    Array.from({ length: 5_000 }, () => memory.gone());
    expect(collected).toBe(0);
    due?.();
    expect(collected).toBe(1);
  });
});
