import { describe, expect, it } from '@jest/globals';
import { countPasses, countRuns, createMetrics } from './metrics';

describe('the metrics', () => {
  it('R40: have a help text and no label that names a user, a lease or a node', async () => {
    const all = (await createMetrics().registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('orion_'));
    expect(all.length).toBeGreaterThan(15);
    const labels = new Set(all.flatMap(({ values }) => values.flatMap(({ labels: of }) => Object.keys(of))));
    expect(all.filter(({ help }) => help === '')).toEqual([]);
    expect([...labels].filter((label) => /user|lease|node|token|path/.test(label))).toEqual([]);
  });

  it('R40: counters with a closed set of labels are there at 0 before anything happened, so that the first failure is an increase', async () => {
    const metrics = createMetrics();
    countPasses(metrics, 'wipe');
    countRuns(metrics, 'wipe');
    const text = await metrics.registry.metrics();
    for (const series of [
      'orion_wipes_total{result="failed"}',
      'orion_checkpoints_total{result="failed"}',
      'orion_restores_total{result="failed"}',
      'orion_rents_total{result="no_node"}',
      'orion_probes_total{outcome="host_key_changed"}',
      'orion_kept_probes_total{outcome="failed"}',
      'orion_migrations_total{result="waiting"}',
      'orion_placements_total{result="deadline"}',
      'orion_scale_changes_total{service="scheduler",direction="down"}',
      'orion_gateway_logins_total{result="refused"}',
      'orion_gateway_bytes_total{direction="sent"}',
      'orion_heartbeats_total{result="failed"}',
      'orion_migration_duration_seconds_count{cause="death"}',
      'orion_batch_items_count{batch="rents"}',
      'orion_loop_passes_total{loop="wipe",outcome="error"}',
      'orion_job_runs_total{loop="wipe",outcome="error"}',
      'orion_node_deaths_total',
    ]) {
      expect(text).toContain(`\n${series} 0\n`);
    }
  });

  it('R40: counters with labels have every combination of their values at 0 from the start', async () => {
    const metrics = createMetrics();
    countPasses(metrics, 'wipe');
    countRuns(metrics, 'wipe');
    const all = await metrics.registry.getMetricsAsJSON();
    const counters = all.filter(({ name, type }) => name.startsWith('orion_') && String(type) === 'counter');
    expect(counters.length).toBeGreaterThan(12);
    for (const { name, values } of counters) {
      const { labelNames = [] } = metrics.registry.getSingleMetric(name) as unknown as { labelNames?: string[] };
      const combinations = labelNames.reduce((n, label) => n * new Set(values.map(({ labels }) => labels[label])).size, 1);
      const complete = values.filter(({ value, labels }) => value === 0 && labelNames.every((label) => labels[label] !== undefined));
      expect([name, complete.length, combinations > 0]).toEqual([name, combinations, true]);
    }
  });

  it('of two processes in one do not meet', () => {
    const [one, two] = [createMetrics(), createMetrics()];
    one.deaths.inc();
    expect(one.registry).not.toBe(two.registry);
  });
});
