import { expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROLE_NAMES } from '../../../src/roles';
import { projectDir } from '../../lab';

/** Roles that serve no metrics: neither has a port for operations. */
const SILENT = ['agent', 'scale-driver'];

it('R40: Prometheus scrapes every role of the control plane that has metrics, by the name of its service', () => {
  const text = readFileSync(join(projectDir, 'docker', 'prometheus.yml'), 'utf8');
  const jobs = [...text.matchAll(/job_name: (\S+)\n\s+dns_sd_configs: \[\{ names: \[(\S+)\], type: A, port: (\d+)/g)].map(([, job, name, port]) => [job, name, port]);
  const roles = ROLE_NAMES.filter((name) => !SILENT.includes(name));
  expect(jobs.toSorted()).toEqual(roles.map((name) => [name, name, '9464']).toSorted());
  const services = readFileSync(join(projectDir, 'compose.yaml'), 'utf8');
  for (const role of roles) {
    expect(services).toMatch(new RegExp(`^ {2}${role}:$`, 'm'));
  }
});
