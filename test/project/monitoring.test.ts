import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { alertsTable, readAlerts } from '../../scripts/lib/alerts-table';
import { ROLE_NAMES } from '../../src/roles';
import { readProjectFile } from './files';

/** Neither of these roles has an operations port. */
const SILENT = ['agent', 'scale-driver'];
const ROLES = ROLE_NAMES.filter((name) => !SILENT.includes(name));

interface Targets {
  scrape_configs: { job_name: string; dns_sd_configs: unknown[] }[];
  alerting: { alertmanagers: { dns_sd_configs: { names: string[] }[] }[] };
}

interface Routing {
  route: { receiver: string };
  receivers: object[];
}

/** A case of alerts.test.yml: moments, and what the expression gives then. */
interface Case {
  promql_expr_test: { expr: string; exp_samples: unknown[] }[];
}

const readYaml = (file: string): unknown => parse(readProjectFile(file));

describe('Prometheus', () => {
  const { scrape_configs: jobs, alerting } = readYaml('docker/monitoring/prometheus.yml') as Targets;
  const { services } = readYaml('compose.yaml') as { services: Record<string, unknown> };

  it('R40: scrapes every role of the control plane that has metrics, by the name of its service', () => {
    const wanted = ROLES.map((role) => [role, [expect.objectContaining({ names: [role], port: 9464 })]]);
    expect(jobs.map(({ job_name: name, dns_sd_configs: targets }) => [name, targets]).toSorted()).toEqual(wanted.toSorted());
    expect(Object.keys(services)).toEqual(expect.arrayContaining(ROLES));
  });

  it('R40: sends alerts to the Alertmanager of compose.yaml, which sends nothing by default', () => {
    const [names] = alerting.alertmanagers.flatMap(({ dns_sd_configs: targets }) => targets.map((target) => target.names));
    expect(names).toEqual(['alertmanager']);
    expect(services).toHaveProperty('alertmanager');
    const { route, receivers } = readYaml('docker/monitoring/alertmanager.yml') as Routing;
    expect(receivers).toContainEqual({ name: route.receiver });
  });
});

describe('alerts', () => {
  const alerts = readAlerts();
  const names = alerts.map(({ alert }) => alert);
  const operations = readProjectFile('docs/operations.md');

  it('R40: each have a moment at which they fire and one at which they do not', () => {
    const { tests } = readYaml('docker/monitoring/alerts.test.yml') as { tests: Case[] };
    const moments = tests.flatMap(({ promql_expr_test: of }) => of);
    const tested = (fires: boolean): Set<string | undefined> => {
      const of = moments.filter(({ exp_samples: samples }) => samples.length > 0 === fires);
      return new Set(of.map(({ expr }) => /alertname="(\w+)"/.exec(expr)?.[1]));
    };
    expect(names.filter((name) => !tested(true).has(name))).toEqual([]);
    expect(names.filter((name) => !tested(false).has(name))).toEqual([]);
  });

  it('R40: each name a meaning, a first action, a severity and a runbook of docs/operations.md', () => {
    for (const { alert, labels, annotations } of alerts) {
      expect(annotations).toEqual({
        summary: expect.stringMatching(/\.$/),
        do: expect.stringMatching(/\.$/),
        runbook: `docs/operations.md#${alert.toLowerCase()}`,
      });
      expect(['warning', 'critical']).toContain(labels.severity);
    }
    expect([...operations.matchAll(/^#### (Orion\w+)$/gm)].map(([, heading]) => heading)).toEqual(names);
  });

  it('R40: are in the table of docs/operations.md as alerts.yml has them', () => {
    expect(operations).toContain(`\n${alertsTable()}\n`);
  });
});
