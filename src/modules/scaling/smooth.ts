export interface Smoothed {
  value: number;
  atMs: number;
}

/**
 * Smooths exponentially over uneven intervals: after `halfLifeSeconds`, a new value has the same weight as all earlier ones together. The
 * first value is taken as it is. Pure.
 */
export function smooth(before: Smoothed | null, sample: Smoothed, halfLifeSeconds: number): Smoothed {
  if (before === null) {
    return sample;
  }
  const weight = 1 - 2 ** -((sample.atMs - before.atMs) / 1000 / halfLifeSeconds);
  return { value: before.value + weight * (sample.value - before.value), atMs: sample.atMs };
}
