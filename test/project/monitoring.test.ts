import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
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
