import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, projectDir, runOrThrow, type Worker } from '../../lab';

/**
 * Adds user accounts from outside /etc/passwd to a worker, by a name service module of the test's own. The modules of distributions cannot
 * be installed, because the worker's /usr is read-only.
 */
export async function addNameService(lab: Lab, worker: Worker): Promise<void> {
  const library = join(lab.dir, 'libnss_people.so.2');
  await runOrThrow('g++', [
    '-xc',
    '-shared',
    '-fPIC',
    '-O1',
    '-Wl,-soname,libnss_people.so.2',
    '-o',
    library,
    join(projectDir, 'test', 'support', 'name-service', 'people.c'),
  ]);
  const script = `set -e
    mkdir -p /srv/nss /etc/ld.so.conf.d; base64 -d > /srv/nss/libnss_people.so.2
    echo /srv/nss > /etc/ld.so.conf.d/people.conf; grep -qs ld.so.conf.d /etc/ld.so.conf || echo 'include /etc/ld.so.conf.d/*.conf' >> /etc/ld.so.conf; ldconfig
    printf 'passwd: files people\\ngroup: files people\\nshadow: files\\n' > /etc/nsswitch.conf`;
  const { code, stderr } = await worker.exec(script, { input: readFileSync(library).toString('base64') });
  if (code !== 0) {
    throw new Error(`the name service could not be added: ${stderr}`);
  }
}
