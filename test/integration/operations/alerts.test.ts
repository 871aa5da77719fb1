import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import { panelQueries } from '../../../scripts/lib/dashboards';
import { createMetrics } from '../../../src/modules/telemetry';
import { createLab, eventually } from '../../lab';
import { listen, type Monitoring, startMonitoring } from '../../support/monitoring';

const lab = createLab();
const metrics = createMetrics();
let monitoring: Monitoring;

beforeAll(async () => {
  const replica = await serveMetrics();
  monitoring = await startMonitoring(lab, { targets: { api: [replica], scheduler: [replica], gateway: [replica], autoscaler: [replica] } });
}, 120_000);
afterAll(() => lab.close());

describe('alerts in a real Prometheus', () => {
  it('R40: it reads the query of every panel', async () => {
    for (const expr of panelQueries()) {
      expect(await monitoring.query(expr)).toEqual(expect.any(Array));
    }
  });

  it('R40: the first failed wipe of a process reaches the receiver, with what to do, and nothing else does', async () => {
    const { received } = monitoring;
    expect(received).toEqual([]);
    metrics.wipes.inc({ result: 'failed' });
    await eventually(() => received.length > 0, { what: 'the alert arrives', timeoutMs: 30_000 });
    expect(received).toEqual([
      expect.objectContaining({
        labels: { alertname: 'OrionWipeFails', severity: 'warning' },
        annotations: { summary: expect.any(String), do: expect.any(String), runbook: 'docs/operations.md#orionwipefails' },
      }),
    ]);
  }, 60_000);
});

/** Stands for a replica of every role: it is ready, the database is up, a node is free. */
function serveMetrics(): Promise<string> {
  [metrics.databaseUp, metrics.ready, metrics.nodesLeasable].forEach((gauge) => gauge.set(1));
  return listen(
    lab,
    'metrics',
    createServer((_req, res) => {
      void metrics.registry.metrics().then((text) => res.writeHead(200, { 'Content-Type': metrics.registry.contentType }).end(text));
    }),
  );
}
