import { describe, expect, it } from '@jest/globals';
import { createSampler, utilisationPercent } from './stats';
import type { CpuReading, Replica } from './types';

const limits = { cores: 1, staleMs: 15_000 };
const at = (atMs: number, usedMs: number): CpuReading => ({ atMs, usedMs });

describe('utilisation', () => {
  it('is CPU over time, of one core or of the limit', () => {
    expect(utilisationPercent([at(0, 100), at(5000, 2600)], limits)).toBe(50);
    expect(utilisationPercent([at(0, 100), at(5000, 2600)], { ...limits, cores: 0.5 })).toBe(100);
  });

  it.each([
    ['there was none before', undefined, at(5000, 1)],
    ['no time has passed: a stale sample', at(5000, 1), at(5000, 1)],
    ['the clock went back', at(5000, 1), at(4000, 2)],
    ['too much time has passed', at(0, 1), at(15_001, 2)],
    ['the container was restarted', at(0, 900), at(5000, 10)],
  ])('is unknown when %s', (_why, before, after) => {
    expect(utilisationPercent([before, after], limits)).toBeNull();
  });
});

describe('the sampler', () => {
  const replica = (containerId: string, cpu: CpuReading | null, cores = 1): Replica => ({ containerId, name: containerId, cores, cpu });

  it('adds up all replicas, and knows nothing while one is unknown', () => {
    const sampler = createSampler({ staleMs: 15_000 });
    expect(sampler.measure({ actual: 2, replicas: [replica('a', at(0, 0)), replica('b', at(0, 0), 0.5)] })).toBeNull();
    const both = [replica('a', at(5000, 2500)), replica('b', at(5000, 1250), 0.5)];
    expect(sampler.measure({ actual: 2, replicas: both })).toBeCloseTo(100);
    const later = [replica('a', at(10_000, 5000)), replica('b', at(10_000, 2500), 0.5)];
    expect(sampler.measure({ actual: 3, replicas: [...later, replica('c', null)] })).toBeNull();
    expect(sampler.measure({ actual: 0, replicas: [] })).toBeNull();
  });

  it('takes replicas on other machines to be as busy as those here', () => {
    const sampler = createSampler({ staleMs: 15_000 });
    sampler.measure({ actual: 4, replicas: [replica('a', at(0, 0))] });
    expect(sampler.measure({ actual: 4, replicas: [replica('a', at(5000, 2500))] })).toBeCloseTo(200);
  });
});
