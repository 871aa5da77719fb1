import type { CpuReading, ServiceState } from './types';

/**
 * Computes the CPU use between two readings, in percent of `cores`. Returns null when the readings cannot be compared: no time between
 * them, too much time, or a restart. Pure.
 */
export function utilisationPercent(
  [before, after]: [CpuReading | undefined, CpuReading],
  { cores, staleMs }: { cores: number; staleMs: number },
): number | null {
  if (before === undefined) {
    return null;
  }
  const [usedMs, tookMs] = [after.usedMs - before.usedMs, after.atMs - before.atMs];
  return usedMs >= 0 && tookMs > 0 && tookMs <= staleMs ? (usedMs / tookMs / cores) * 100 : null;
}

export interface SamplerDeps {
  /** Longest time between two comparable readings. */
  staleMs: number;
}

/** Measures one service. */
export interface Sampler {
  /**
   * Returns the CPU of all replicas together since the last call, in percent of one replica. Null when the sample of any measurable replica
   * is missing; a new replica has none at first. Replicas on other machines count as equally busy.
   */
  measure(state: Pick<ServiceState, 'actual' | 'replicas'>): number | null;
}

/**
 * Creates a sampler that keeps the last reading of each replica. The engine's own pair of readings is a second apart, which is too short to
 * tell load from noise.
 */
export function createSampler({ staleMs }: SamplerDeps): Sampler {
  let last = new Map<string, CpuReading>();
  return {
    measure: ({ actual, replicas }) => {
      const fresh = new Map<string, CpuReading>();
      const percents = replicas.map(({ containerId, cores, cpu }) => {
        if (cpu === null) {
          return null;
        }
        fresh.set(containerId, cpu);
        return utilisationPercent([last.get(containerId), cpu], { cores, staleMs });
      });
      last = fresh;
      const known = percents.filter((percent) => percent !== null);
      return known.length > 0 && known.length === percents.length ? (sum(known) / known.length) * actual : null;
    },
  };
}

const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
