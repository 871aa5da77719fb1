import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { panelQueries } from '../../../scripts/lib/dashboards';
import { createMetrics } from '../../../src/modules/telemetry';
import { createLab, eventually, freePort, projectDir, startProcess } from '../../lab';

const lab = createLab();
const metrics = createMetrics();
const received: { labels: Record<string, string>; annotations: Record<string, string> }[] = [];
let prometheus = '';

beforeAll(async () => {
  const [replica, receiver] = [await serveMetrics(), await serveReceiver()];
  const [prometheusAt, alertmanagerAt] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const dir = join(lab.dir, 'monitoring');
  cpSync(join(projectDir, 'docker', 'monitoring'), dir, { recursive: true });
  change(join(dir, 'alertmanager.yml'), [
    ['receiver: nobody', 'receiver: webhook'],
    ['http://alerts.example.org/orion', `http://${receiver}/`],
    ['group_wait: 10s', 'group_wait: 0s'],
  ]);
  change(join(dir, 'prometheus.yml'), [
    [/dns_sd_configs: .*port: 9093.*/g, `static_configs: [{ targets: ['${alertmanagerAt}'] }]`],
    [/dns_sd_configs: .*port: 9464.*/g, `static_configs: [{ targets: ['${replica}'] }]`],
    [/: 15s$/gm, ': 1s'],
  ]);
  start('prometheus', dir, ['--storage.tsdb.path', `--web.listen-address=${prometheusAt}`]);
  start('alertmanager', dir, ['--storage.path', `--web.listen-address=${alertmanagerAt}`, '--cluster.listen-address=']);
  prometheus = `http://${prometheusAt}`;
  await eventually(async () => (await fetch(`http://${alertmanagerAt}/-/ready`)).ok, { what: 'Alertmanager is ready', timeoutMs: 30_000 });
  await eventually(async () => (await query('up == 1')).length === 4, { what: 'Prometheus has scraped each role', timeoutMs: 60_000 });
}, 120_000);
afterAll(() => lab.close());

describe('alerts in a real Prometheus', () => {
  it('R40: it reads the query of every panel', async () => {
    for (const expr of panelQueries()) {
      expect(await query(expr)).toEqual(expect.any(Array));
    }
  });

  it('R40: the first failed wipe of a process reaches the receiver, with what to do, and nothing else does', async () => {
    expect(received).toEqual([]);
    metrics.wipes.inc({ result: 'failed' });
    await eventually(() => received.length > 0, { what: 'the alert arrives', timeoutMs: 30_000 });
    expect(received).toEqual([expect.objectContaining({
      labels: { alertname: 'OrionWipeFails', severity: 'warning' },
      annotations: { summary: expect.any(String), do: expect.any(String), runbook: 'docs/operations.md#orionwipefails' },
    })]);
  }, 60_000);
});

/** Debian's package names the program of Alertmanager otherwise than its project. */
function start(name: 'prometheus' | 'alertmanager', dir: string, [storage = '', ...args]: string[]): void {
  const data = join(lab.dir, name);
  mkdirSync(data);
  const command = name === 'prometheus' ? name : 'prometheus-alertmanager';
  startProcess(lab, { name, command, args: [`--config.file=${join(dir, `${name}.yml`)}`, `${storage}=${data}`, ...args], cwd: data });
}

/** A replacement that finds nothing would leave the test without what it tests. */
function change(file: string, replacements: [string | RegExp, string][]): void {
  const text = replacements.reduce((before, [from, to]) => {
    const after = before.replace(from, to);
    expect(after).not.toBe(before);
    return after;
  }, readFileSync(file, 'utf8'));
  writeFileSync(file, text);
}

async function query(expr: string): Promise<unknown[]> {
  const response = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query: expr }).toString()}`);
  const { status, error, data } = (await response.json()) as { status: string; error?: string; data: { result: unknown[] } };
  expect({ expr, status, error }).toEqual({ expr, status: 'success', error: undefined });
  return data.result;
}

async function listen(name: string, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  lab.push(name, () => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Stands for a replica of every role: the database is up, a node is free. */
function serveMetrics(): Promise<string> {
  metrics.databaseUp.set(1);
  metrics.nodesLeasable.set(1);
  return listen('metrics', createServer((_req, res) => {
    void metrics.registry.metrics().then((text) => res.writeHead(200, { 'Content-Type': metrics.registry.contentType }).end(text));
  }));
}

/** Collects the alerts that Alertmanager sends. */
function serveReceiver(): Promise<string> {
  return listen('receiver', createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      received.push(...(JSON.parse(Buffer.concat(chunks).toString()) as { alerts: typeof received }).alerts);
      res.end();
    });
  }));
}
