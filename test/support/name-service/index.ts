import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, projectDir, runOrThrow, type Worker } from '../../lab';

/** Gives a worker a directory of people: a name service module of its own, since those of distributions cannot be installed below its read-only /usr. */
export async function addNameService(lab: Lab, worker: Worker): Promise<void> {
  const library = join(lab.dir, 'libnss_people.so.2');
  await runOrThrow('g++', ['-xc', '-shared', '-fPIC', '-O1', '-Wl,-soname,libnss_people.so.2', '-o', library, join(projectDir, 'test', 'support', 'name-service', 'people.c')]);
  const script = `set -e
    mkdir -p /srv/nss /etc/ld.so.conf.d; base64 -d > /srv/nss/libnss_people.so.2
    echo /srv/nss > /etc/ld.so.conf.d/people.conf; grep -qs ld.so.conf.d /etc/ld.so.conf || echo 'include /etc/ld.so.conf.d/*.conf' >> /etc/ld.so.conf; ldconfig
    printf 'passwd: files people\\ngroup: files people\\nshadow: files\\n' > /etc/nsswitch.conf`;
  const { code, stderr } = await worker.exec(script, { input: readFileSync(library).toString('base64') });
  if (code !== 0) {
    throw new Error(`the name service could not be added: ${stderr}`);
  }
}
