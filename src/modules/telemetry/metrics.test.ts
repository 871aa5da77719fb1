import { describe, expect, it } from '@jest/globals';
import { createMetrics } from './metrics';

describe('the metrics', () => {
  it('R40: have a help text and no label that names a user, a lease or a node', async () => {
    const all = (await createMetrics().registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('orion_'));
    expect(all.length).toBeGreaterThan(15);
    const labels = new Set(all.flatMap(({ values }) => values.flatMap(({ labels: of }) => Object.keys(of))));
    expect(all.filter(({ help }) => help === '')).toEqual([]);
    expect([...labels].filter((label) => /user|lease|node|token|path/.test(label))).toEqual([]);
  });

  it('of two processes in one do not meet', () => {
    const [one, two] = [createMetrics(), createMetrics()];
    one.deaths.inc();
    expect(one.registry).not.toBe(two.registry);
  });
});
