import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../lab';
import { addNameService } from '../../support/name-service';
import { aSpec, asRoot, asTenant, type Bench, nodeOf, tenantOf, useBench } from './support';

const { bench, worker } = useBench();
const present = (spec: ReturnType<typeof aSpec>): ReturnType<Bench['provisioner']['ensurePresent']> =>
  bench.provisioner.ensurePresent(nodeOf(worker), spec);

beforeAll(() => addNameService(bench.lab, worker), 60_000);
beforeEach(() =>
  asRoot(worker, 'rm -f /etc/people /etc/people.groups /etc/people.hangs /var/lib/orion/owners; : > /etc/subuid; : > /etc/subgid'),
);

/** Refused as taken, and nothing made. */
async function expectTaken(spec: ReturnType<typeof aSpec>, why: string | RegExp, nextFree: number = spec.uid + 1): Promise<void> {
  await expect(present(spec)).rejects.toMatchObject({ failure: 'uid_taken', message: expect.stringMatching(why), nextFree });
  expect(
    await asRoot(
      worker,
      `grep -c ${spec.username} /etc/passwd /etc/group /etc/shadow; ls -d /home/${spec.username} /var/lib/orion/accounts/${spec.username}.json 2>&1 | grep -c cannot; :`,
    ),
  ).toBe('/etc/passwd:0\n/etc/group:0\n/etc/shadow:0\n2');
}

describe("a uid that is somebody else's", () => {
  it('as a person of a directory service: who keeps home, process and file through the lease and the wipe of the next number', async () => {
    const taken = aSpec(bench.tenantKey);
    await asRoot(
      worker,
      `
      echo 'ada ${taken.uid} 100' > /etc/people; mkdir -m 700 /home/ada; echo secret > /home/ada/note; chmod 600 /home/ada/note; chown -R ${taken.uid}:100 /home/ada
      setsid setpriv --reuid ${taken.uid} --regid 100 --clear-groups sleep 3600 </dev/null >/dev/null 2>&1 &`,
    );
    await expectTaken(taken, /the uid \d+ is that of ada/);
    const spec = aSpec(bench.tenantKey);
    await present(spec);
    expect(await asTenant(tenantOf(worker, spec.username, bench.tenantKey), 'cat /home/ada/note 2>&1 || id -u')).toContain(
      String(spec.uid),
    );
    // The account of the refused number never was: its wipe must not touch what the number owns.
    const { details } = await bench.provisioner.wipe(nodeOf(worker), [spec, { ...taken, unsure: true }]);
    expect(details).toMatchObject({ never_made: [taken.username], accounts: [spec.username] });
    expect(await bench.provisioner.verifyClean(nodeOf(worker), [spec])).toMatchObject({ clean: true });
    expect(
      await asRoot(
        worker,
        `cat /home/ada/note; stat -c '%u %a' /home/ada/note; pgrep -U ${taken.uid} -c sleep; pkill -U ${taken.uid}; rm -r /home/ada`,
      ),
    ).toBe(`secret\n${taken.uid} 600\n1`);
  }, 60_000);

  it("as a gid alone, of a directory service or of a person's entry", async () => {
    const [group, primary] = [aSpec(bench.tenantKey), aSpec(bench.tenantKey)];
    await asRoot(worker, `echo 'staff2 ${group.uid}' > /etc/people.groups; echo 'bob:x:1700:${primary.uid}::/:/bin/sh' >> /etc/passwd`);
    await expectTaken(group, /the gid \d+ is that of staff2/, group.uid + 2);
    await expectTaken(primary, /as a number of bob/);
    await asRoot(worker, "sed -i '/^bob:/d' /etc/passwd");
  }, 60_000);

  it('in a range of subordinate ids, which is passed over as a whole', async () => {
    const [uids, gids] = [aSpec(bench.tenantKey), aSpec(bench.tenantKey)];
    await asRoot(worker, `echo 'ada:${uids.uid - 5}:1000' > /etc/subuid`);
    await expectTaken(uids, /\/etc\/subuid gives/, uids.uid + 995);
    await asRoot(worker, `: > /etc/subuid; echo 'ada:${gids.uid}:65536' > /etc/subgid`);
    await expectTaken(gids, /\/etc\/subgid gives/, gids.uid + 65_536);
  }, 60_000);

  it('of a process without an entry: its saved uid, or one of its groups', async () => {
    const [uid, group] = [aSpec(bench.tenantKey), aSpec(bench.tenantKey)];
    const run = (python: string): Promise<string> =>
      asRoot(worker, `setsid python3 -c 'import os, time; ${python}; time.sleep(3600)' </dev/null >/dev/null 2>&1 & echo $!`);
    const pids = [await run(`os.setresuid(0, 0, ${uid.uid})`), await run(`os.setgroups([${group.uid}])`)];
    await eventually(
      async () =>
        (await asRoot(worker, `grep -c ${uid.uid} /proc/${pids[0] ?? ''}/status; grep -c ${group.uid} /proc/${pids[1] ?? ''}/status`)) ===
        '1\n1',
      { what: 'both run' },
    );
    await expectTaken(uid, /the process \d+ runs with it/, group.uid + 1);
    await expectTaken(group, /the process \d+ runs with it/);
    await asRoot(worker, `kill ${pids.join(' ')}`);
  }, 60_000);

  it('as an owner of files on another local file system, known from the last walk: at enrolment, and with each wipe', async () => {
    const before = aSpec(bench.tenantKey);
    await asRoot(worker, `mkdir -p /data && mount -t tmpfs data /data && echo precious > /data/old && chown ${before.uid}:0 /data/old`);
    await bench.provisioner.wipe(nodeOf(worker), []);
    await expectTaken(before, 'owned files');
    const spec = aSpec(bench.tenantKey);
    const next = aSpec(bench.tenantKey);
    await present(spec);
    await asRoot(worker, `mkdir /data/new && chgrp ${next.uid} /data/new`);
    await bench.provisioner.wipe(nodeOf(worker), [spec]);
    await expectTaken(next, 'owned files');
    expect(await asRoot(worker, 'stat -c %g /data/new; stat -c %a /var/lib/orion/owners; cat /data/old; umount /data')).toBe(
      `${next.uid}\n600\nprecious`,
    );
  }, 60_000);
});

describe('a name service', () => {
  it('that does not answer is a refusal with that cause, soon, and holds up nothing afterwards', async () => {
    const spec = aSpec(bench.tenantKey);
    await asRoot(worker, 'touch /etc/people.hangs');
    const began = Date.now();
    await expect(present(spec)).rejects.toMatchObject({
      failure: 'failed',
      message: expect.stringContaining('name service of this machine (nsswitch.conf) did not answer'),
    });
    expect(Date.now() - began).toBeLessThan(15_000);
    await asRoot(worker, 'rm /etc/people.hangs');
    await expect(present(spec)).resolves.toMatchObject({ changed: true });
  }, 60_000);

  it('with a whole range of people is passed over in growing steps', async () => {
    const spec = aSpec(bench.tenantKey);
    await asRoot(worker, `seq ${spec.uid} ${spec.uid + 500} | sed 's/.*/p& & 100/' > /etc/people`);
    const error = await present(spec).catch((failure: unknown) => failure as { nextFree: number });
    const { nextFree } = error as { nextFree: number };
    expect(nextFree).toBeGreaterThan(spec.uid + 500);
    expect(nextFree).toBeLessThan(spec.uid + 1100);
    await expect(present({ ...spec, uid: nextFree })).resolves.toMatchObject({ changed: true });
  }, 60_000);
});

it('an account of its own placement is no stranger to itself, however often it is made', async () => {
  const spec = aSpec(bench.tenantKey);
  await present(spec);
  const tenant = tenantOf(worker, spec.username, bench.tenantKey);
  await asTenant(tenant, 'touch /tmp/mine-$USER; setsid sleep 600 </dev/null >/dev/null 2>&1 & :');
  await expect(present({ ...spec, remainingSeconds: 7200 })).resolves.toMatchObject({ details: { username: spec.username } });
  // A run that was cut short between the record and the entry.
  const half = aSpec(bench.tenantKey);
  await present(half);
  await asRoot(worker, `sed -i '/^${half.username}:/d' /etc/passwd`);
  await expect(present(half)).resolves.toMatchObject({ changed: true });
}, 60_000);
