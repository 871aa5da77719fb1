/** Durations in buckets that grow by a tenth: a quantile is off by 5 % at most, and histograms of several processes add up. */
export interface Histogram {
  counts: number[];
}

const FIRST_MS = 0.05;
const GROWTH = 1.1;
const BUCKETS = 160;

export const createHistogram = (): Histogram => ({ counts: new Array<number>(BUCKETS).fill(0) });

export function record({ counts }: Histogram, ms: number): void {
  const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH))));
  counts[bucket] = (counts[bucket] ?? 0) + 1;
}

/** All of them together, less what `before` already held. */
export function sum(histograms: readonly Histogram[], before: readonly Histogram[] = []): Histogram {
  const total = (of: readonly Histogram[], bucket: number): number => of.reduce((so, { counts }) => so + (counts[bucket] ?? 0), 0);
  return { counts: Array.from({ length: BUCKETS }, (_, bucket) => total(histograms, bucket) - total(before, bucket)) };
}

export const countOf = ({ counts }: Histogram): number => counts.reduce((so, n) => so + n, 0);

/** In milliseconds; NaN when nothing was recorded. */
export function quantileOf(histogram: Histogram, share: number): number {
  const wanted = countOf(histogram) * share;
  let so = 0;
  for (const [bucket, n] of histogram.counts.entries()) {
    so += n;
    if (n > 0 && so >= wanted) {
      return FIRST_MS * GROWTH ** bucket;
    }
  }
  return NaN;
}
