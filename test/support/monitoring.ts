import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually, freePort, type Lab, projectDir, startProcess } from '../lab';

interface SentAlert {
  status: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

interface MonitoringOptions {
  /** Where each job of prometheus.yml finds its replicas: `host:port`. */
  targets: Readonly<Record<string, readonly string[]>>;
  scrapeSeconds?: number;
  /** Alerts fire after a second instead of minutes, and the objectives are recorded each second. */
  impatient?: boolean;
}

/** A real Prometheus and Alertmanager with the files of docker/monitoring. */
export interface Monitoring {
  /** What Alertmanager has sent to the receiver. */
  received: SentAlert[];
  /** Throws when Prometheus does not accept the query. */
  query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>;
}

export async function startMonitoring(lab: Lab, { targets, scrapeSeconds = 1, impatient = false }: MonitoringOptions): Promise<Monitoring> {
  const received: SentAlert[] = [];
  const receiver = await serveReceiver(lab, received);
  const [prometheus, alertmanager] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const dir = join(lab.dir, 'monitoring');
  cpSync(join(projectDir, 'docker', 'monitoring'), dir, { recursive: true });
  change(join(dir, 'alertmanager.yml'), [
    ['receiver: nobody', 'receiver: webhook'],
    ['http://alerts.example.org/orion', `http://${receiver}/`],
    ['group_wait: 10s', 'group_wait: 0s'],
  ]);
  change(join(dir, 'prometheus.yml'), [
    [/dns_sd_configs: .*port: 9093.*/g, `static_configs: [{ targets: ['${alertmanager}'] }]`],
    ...Object.entries(targets).map(([job, at]): [RegExp, string] => [
      new RegExp(`dns_sd_configs: .*names: \\[${job}\\].*`),
      `static_configs: [{ targets: ${JSON.stringify(at)} }]`,
    ]),
    ['scrape_interval: 15s', `scrape_interval: ${scrapeSeconds}s`],
    ['evaluation_interval: 15s', 'evaluation_interval: 1s'],
  ]);
  if (impatient) {
    change(join(dir, 'alerts.yml'), [
      [/for: \d+[mh]$/gm, 'for: 1s'],
      ['interval: 30s', 'interval: 1s'],
    ]);
  }
  start(lab, 'prometheus', dir, ['--storage.tsdb.path', `--web.listen-address=${prometheus}`]);
  start(lab, 'alertmanager', dir, ['--storage.path', `--web.listen-address=${alertmanager}`, '--cluster.listen-address=']);
  await eventually(async () => (await fetch(`http://${alertmanager}/-/ready`)).ok, { what: 'Alertmanager is ready', timeoutMs: 30_000 });
  const query: Monitoring['query'] = (expr) => ask(prometheus, expr);
  const replicas = Object.values(targets).flat().length;
  const areUp = async (): Promise<boolean> => (await query('up == 1')).length === replicas;
  await eventually(areUp, { what: 'Prometheus has scraped each replica', timeoutMs: 60_000 });
  return { received, query };
}

/** Debian's package names the program of Alertmanager otherwise than its project. */
function start(lab: Lab, name: 'prometheus' | 'alertmanager', dir: string, [storage = '', ...args]: string[]): void {
  const data = join(lab.dir, name);
  mkdirSync(data);
  const command = name === 'prometheus' ? name : 'prometheus-alertmanager';
  startProcess(lab, { name, command, args: [`--config.file=${join(dir, `${name}.yml`)}`, `${storage}=${data}`, ...args], cwd: data });
}

/** Throws for a replacement that finds nothing, which would leave a test without what it tests. */
function change(file: string, replacements: [string | RegExp, string][]): void {
  const text = replacements.reduce(
    (before, [from, to]) => {
      const after = before.replace(from, to);
      if (after === before) {
        throw new Error(`${file} has no ${String(from)}`);
      }
      return after;
    },
    readFileSync(file, 'utf8'),
  );
  writeFileSync(file, text);
}

async function ask(at: string, expr: string): ReturnType<Monitoring['query']> {
  const response = await fetch(`http://${at}/api/v1/query?${new URLSearchParams({ query: expr }).toString()}`);
  const { error, data } = (await response.json()) as { error?: string; data: { result: Awaited<ReturnType<Monitoring['query']>> } };
  if (error !== undefined) {
    throw new Error(`${expr}: ${error}`);
  }
  return data.result;
}

/** Starts a server on any port of 127.0.0.1 that ends with the lab. Returns its address. */
export async function listen(lab: Lab, name: string, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  lab.push(name, () => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Collects the alerts that Alertmanager sends. */
function serveReceiver(lab: Lab, received: SentAlert[]): Promise<string> {
  return listen(
    lab,
    'receiver',
    createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        received.push(...(JSON.parse(Buffer.concat(chunks).toString()) as { alerts: SentAlert[] }).alerts);
        res.end();
      });
    }),
  );
}
