import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Worker } from '../../lab';
import { useForAll } from '../../support/hooks';
import { mountShared } from '../../support/shared-mount';
import { aSpec, asRoot, asTenant, type Bench, nodeOf, tenantOf, useBench } from './support';

const { bench } = useBench({ workers: 2 });
const workers = useForAll(() => bench.workers as [Worker, Worker]);

const folderFor = (name: string): string => {
  const folder = join(bench.lab.dir, name);
  mkdirSync(folder);
  return folder;
};

async function lease(worker: Worker): Promise<ReturnType<typeof aSpec>> {
  const spec = aSpec(bench.tenantKey);
  await bench.provisioner.ensurePresent(nodeOf(worker), spec);
  return spec;
}
const wipe = (worker: Worker, spec: ReturnType<typeof aSpec>): ReturnType<Bench['provisioner']['wipe']> =>
  bench.provisioner.wipe(nodeOf(worker), [spec]);
const verify = (worker: Worker, spec: ReturnType<typeof aSpec>): ReturnType<Bench['provisioner']['verifyClean']> =>
  bench.provisioner.verifyClean(nodeOf(worker), [spec]);

describe('a file system that several machines share', () => {
  it('is not wiped: what a tenant wrote there stays, no other tenant reads it, and wipe and verification say what they did not look at', async () => {
    const folder = folderFor('scratch');
    await Promise.all(workers.map((worker) => mountShared(bench.lab, worker, { folder, point: '/scratch' })));
    await asRoot(workers[0], 'chmod 1777 /scratch');
    const specs = [await lease(workers[0]), await lease(workers[1])] as const;
    const [one, other] = specs.map((spec, at) => tenantOf(workers[at] as Worker, spec.username, bench.tenantKey));
    if (!one || !other) {
      throw new Error('nobody is there');
    }
    await asTenant(one, 'umask 077; echo secret > /scratch/one; echo rest > /tmp/one');
    await asTenant(other, 'umask 077; echo live > /scratch/other');
    await expect(asTenant(other, 'cat /scratch/one')).rejects.toThrow('Permission denied');

    const report = await wipe(workers[0], specs[0]);
    expect(report.details['not_examined']).toEqual(['fuse.shared /scratch']);
    expect(await verify(workers[0], specs[0])).toEqual({
      clean: true,
      findings: [],
      notExamined: ['fuse.shared /scratch'],
      durationMs: expect.any(Number),
    });
    expect(await asTenant(other, 'cat /scratch/other')).toBe('live');
    expect(statSync(join(folder, 'one')).uid).toBe(specs[0].uid);
    await expect(asTenant(other, 'cat /scratch/one')).rejects.toThrow('Permission denied');
    expect(await asRoot(workers[0], 'ls /tmp/one 2>&1 || :')).toContain('No such file');
    await wipe(workers[1], specs[1]);
    await Promise.all(workers.map((worker) => asRoot(worker, 'umount /scratch')));
  }, 90_000);

  it('may have a server that does not answer, and a local file system mounted on it: neither wipe nor verification waits', async () => {
    const [worker] = workers;
    const mount = await mountShared(bench.lab, worker, { folder: folderFor('gone'), point: '/srv/a b/gone' });
    await asRoot(
      worker,
      "mkdir '/srv/a b/gone/local' && mount -t tmpfs local '/srv/a b/gone/local' && touch '/srv/a b/beside' '/srv/a b/.hidden'",
    );
    const spec = await lease(worker);
    await asRoot(worker, `chown ${spec.uid} '/srv/a b/beside' '/srv/a b/.hidden'`);
    mount.freeze();
    try {
      const lines = ['fuse.shared /srv/a b/gone', 'tmpfs /srv/a b/gone/local'];
      const dirty = await verify(worker, spec);
      expect(dirty.findings).toEqual(expect.arrayContaining(['file /srv/a b/beside', 'file /srv/a b/.hidden']));
      expect(dirty.notExamined.toSorted()).toEqual(lines);
      const report = await wipe(worker, spec);
      expect(report.details['not_examined']).toEqual(lines);
      expect(await verify(worker, spec)).toMatchObject({ clean: true, findings: [] });
    } finally {
      mount.thaw();
    }
    await asRoot(worker, "umount '/srv/a b/gone/local'; umount '/srv/a b/gone'");
  }, 90_000);

  it('may be closed to root, as on NFS with root squashed: the wipe does not fail', async () => {
    const [worker] = workers;
    const folder = folderFor('squashed');
    writeFileSync(join(folder, 'of-somebody'), 'kept');
    await mountShared(bench.lab, worker, { folder, point: '/squashed', squash: true });
    expect(await asRoot(worker, 'ls /squashed 2>&1 || :')).toContain('Permission denied');
    const spec = await lease(worker);
    await expect(wipe(worker, spec)).resolves.toMatchObject({ changed: true });
    expect(await verify(worker, spec)).toMatchObject({ clean: true, notExamined: ['fuse.shared /squashed'] });
    await asRoot(worker, 'umount -l /squashed');
  }, 60_000);

  it('is reported when it holds the homes, whatever links lead there, and is not touched to find out', async () => {
    const [, worker] = workers;
    const mount = await mountShared(bench.lab, worker, { folder: folderFor('homes'), point: '/export/homes' });
    await asRoot(worker, 'mv /home /home.local && ln -s export/../export/homes /home');
    mount.freeze();
    expect((await bench.provisioner.wipe(nodeOf(worker), [])).details['home_storage']).toBe('fuse.shared');
    mount.thaw();
    await asRoot(worker, 'rm /home && mv /home.local /home && umount /export/homes');
    expect((await bench.provisioner.wipe(nodeOf(worker), [])).details).not.toHaveProperty('home_storage');
  }, 60_000);
});

it("a local file system beside the root's is wiped as ever", async () => {
  const [worker] = workers;
  await asRoot(worker, 'mkdir -p /local && mount -t tmpfs local /local && chmod 1777 /local');
  const spec = await lease(worker);
  await asTenant(tenantOf(worker, spec.username, bench.tenantKey), 'mkdir -p /local/a/b && touch /local/a/b/c');
  await wipe(worker, spec);
  expect(await verify(worker, spec)).toMatchObject({ clean: true, notExamined: [] });
  expect(await asRoot(worker, 'ls /local; umount /local')).toBe('');
}, 60_000);
