import { describe, expect, it } from '@jest/globals';
import { silentLogger } from '../../lib/logger';
import type { CpuReading } from './engine';
import { createSampler, utilisationPercent } from './stats';

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
  const replica = (containerId: string, cores = 1): { containerId: string; name: string; cores: number } => ({ containerId, name: containerId, cores });

  it('adds up all replicas, and knows nothing while one is unknown', async () => {
    let now = 0;
    const used: Record<string, number> = { a: 0, b: 0 };
    const engine = { readCpu: (id: string) => (id in used ? Promise.resolve(at(now, used[id] ?? 0)) : Promise.reject(new Error('gone'))) };
    const sampler = createSampler({ engine, logger: silentLogger, staleMs: 15_000 });
    const both = { actual: 2, replicas: [replica('a'), replica('b', 0.5)] };
    expect(await sampler.measure(both)).toBeNull();
    [now, used['a'], used['b']] = [5000, 2500, 1250];
    expect(await sampler.measure(both)).toBeCloseTo(100);
    expect(await sampler.measure({ actual: 3, replicas: [...both.replicas, replica('c')] })).toBeNull();
    expect(await sampler.measure({ actual: 0, replicas: [] })).toBeNull();
  });

  it('takes replicas on other machines to be as busy as those here', async () => {
    let now = 0;
    const sampler = createSampler({ engine: { readCpu: () => Promise.resolve(at(now, now / 2)) }, logger: silentLogger, staleMs: 15_000 });
    await sampler.measure({ actual: 4, replicas: [replica('a')] });
    now = 5000;
    expect(await sampler.measure({ actual: 4, replicas: [replica('a')] })).toBeCloseTo(200);
  });
});
