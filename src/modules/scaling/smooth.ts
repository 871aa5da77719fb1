export interface Smoothed {
  value: number;
  atMs: number;
}

/**
 * Exponential smoothing over uneven intervals: after `halfLifeSeconds` a new value weighs as much as all that came before. The first one counts
 * whole. Pure.
 */
export function smooth(before: Smoothed | null, sample: Smoothed, halfLifeSeconds: number): Smoothed {
  if (before === null) {
    return sample;
  }
  const weight = 1 - 2 ** -((sample.atMs - before.atMs) / 1000 / halfLifeSeconds);
  return { value: before.value + weight * (sample.value - before.value), atMs: sample.atMs };
}
