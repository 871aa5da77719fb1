import { createHash } from 'node:crypto';

/**
 * Numbers that a seed decides: the same seed and name give the same numbers on every machine. What threads and networks do with them is
 * theirs.
 */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [from, to]. */
  between(from: number, to: number): number;
  pick<T>(items: readonly T[]): T;
  /** True with this probability. */
  chance(probability: number): boolean;
  shuffle<T>(items: readonly T[]): T[];
  /** Printable, of that many characters of base 16. */
  hex(length: number): string;
  /** An independent sequence, for a part that runs beside others. */
  fork(name: string): Random;
}

/** Mulberry32 (T. Ettinger, 2017; public domain): 32 bits of state are plenty for choosing what to do next. */
function mulberry32(state: number): () => number {
  let a = state | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function createRandom(seed: string): Random {
  const next = mulberry32(createHash('sha256').update(seed).digest().readInt32LE(0));
  const between = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    between,
    pick: <T>(items: readonly T[]): T => {
      if (items.length === 0) {
        throw new Error('nothing to pick from');
      }
      return items[between(0, items.length - 1)] as T;
    },
    chance: (probability) => next() < probability,
    shuffle: (items) => {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i -= 1) {
        const j = between(0, i);
        [shuffled[i], shuffled[j]] = [shuffled[j] as (typeof shuffled)[number], shuffled[i] as (typeof shuffled)[number]];
      }
      return shuffled;
    },
    hex: (length) => Array.from({ length }, () => between(0, 15).toString(16)).join(''),
    fork: (name) => createRandom(`${seed}/${name}`),
  };
}
