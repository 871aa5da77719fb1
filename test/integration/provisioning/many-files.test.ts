import { describe, expect, it } from '@jest/globals';
import { aSpec, asRoot, nodeOf, useBench } from './support';

const LIMIT_MS = 180_000;
const MANY = 200_000;

/** What the wipe does with the files of a uid, in a process of its own; prints what it removed and how much memory it took, in kB. */
const SWEEP = `import resource, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from orion_files import Progress, Sweep
Sweep({int(sys.argv[2])}).run()
print(Progress.entries, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)`;

const WIPE = `import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from orion_node import told
from orion_wipe import main
print(told(main({'accounts': [{'username': sys.argv[2], 'uid': int(sys.argv[3])}], 'limit_seconds': 1})))`;

describe('a tenant who left very many files', () => {
  const { bench, worker } = useBench();

  const plant = (uid: number, count: number, folder: string): Promise<string> =>
    asRoot(
      worker,
      `mkdir -p ${folder} && chmod 1777 ${folder} && exec setpriv --reuid=${uid} --regid=${uid} --clear-groups python3 -`,
      `
import os
folder = os.open('${folder}', os.O_RDONLY)
for number in range(${count}):
    os.mknod('a-name-of-quite-some-length-%d-%d' % (${uid}, number), dir_fd=folder)`,
    );
  const sweep = async (uid: number): Promise<number[]> =>
    (await asRoot(worker, `python3 - "$(readlink -f /run/orion/project)/playbooks/node" ${uid}`, SWEEP)).split(' ').map(Number);

  it.each(['/dev/shm/shared', '/tmp'])(
    'does not make the wipe take more memory, in %s',
    async (folder) => {
      const { uid } = aSpec(bench.tenantKey);
      await plant(uid, 100, folder);
      const [, few = NaN] = await sweep(uid);
      await plant(uid, MANY, folder);
      await plant(65_000, 30, folder);

      const [removed, many] = await sweep(uid);

      expect(removed).toBe(MANY);
      expect(many).toBeLessThan(few + 8 * 1024);
      expect(
        await asRoot(
          worker,
          `find ${folder} -user ${uid} | wc -l; find ${folder} -user 65000 -type f | wc -l; find ${folder} -user 65000 -delete`,
        ),
      ).toBe('0\n30');
    },
    LIMIT_MS,
  );

  it(
    'is wiped in as many attempts as that takes: one whose time is over has not failed, and says so',
    async () => {
      const spec = aSpec(bench.tenantKey);
      await bench.provisioner.ensurePresent(nodeOf(worker), spec);
      await plant(spec.uid, 2 * MANY, '/dev/shm/many');
      await asRoot(worker, `chown ${spec.uid} /dev/shm/many`);
      // It has one second, and stands still for longer as soon as it has begun to remove them.
      const said = await asRoot(
        worker,
        `
      cat > /root/wipe.py; used() { df --output=iused /dev/shm | tail -n 1; }
      python3 /root/wipe.py "$(readlink -f /run/orion/project)/playbooks/node" ${spec.username} ${spec.uid} & program=$!
      until [ "$(used)" -lt ${2 * MANY} ]; do :; done
      kill -STOP $program; sleep 1.2; kill -CONT $program; wait $program; [ "$(used)" -gt 1000 ]`,
        WIPE,
      );
      expect(JSON.parse(said)).toMatchObject({
        failed: true,
        unfinished: true,
        msg: 'not finished within 1 s',
        entries_removed: expect.any(Number),
      });

      await bench.provisioner.wipe(nodeOf(worker), [spec]);
      expect((await bench.provisioner.verifyClean(nodeOf(worker), [spec])).findings).toEqual([]);
    },
    LIMIT_MS,
  );
});
