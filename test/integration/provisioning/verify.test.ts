import { describe, expect, it } from '@jest/globals';
import { inspect } from '../../chaos/leftovers/inspect';
import { LEFTOVERS } from '../../chaos/leftovers/kinds';
import { layGround, plant } from '../../chaos/leftovers/plant';
import { eventually } from '../../lab';
import { aSpec, asRoot, type Bench, nodeOf, tenantOf, useBench } from './support';

const UID = 41_000;
const NAME = 'orn-leftover';
const account = { username: NAME, uid: UID };
const as = `setpriv --reuid ${String(UID)} --regid ${String(UID)} --clear-groups`;
const mq = (call: string): string => `python3 -c "
import ctypes, os
rt = ctypes.CDLL('librt.so.1')
rt.${call}"`;

/** [what, how root plants it, the finding, how it goes away] */
const leftovers: [string, string, string | RegExp, string][] = [
  [
    'an entry in passwd',
    `echo '${NAME}:x:${String(UID)}:0::/:/bin/sh' >> /etc/passwd`,
    `passwd ${NAME}`,
    `sed -i '/^${NAME}:/d' /etc/passwd`,
  ],
  [
    'its uid under another name',
    `echo 'else:x:${String(UID)}:0::/:/bin/sh' >> /etc/passwd`,
    `passwd uid ${String(UID)}`,
    `sed -i '/^else:/d' /etc/passwd`,
  ],
  [
    'an Orion account that nobody asked about',
    `echo 'orn-other:x:41999:0::/:/bin/sh' >> /etc/passwd; touch /tmp/o; chown 41999 /tmp/o`,
    'file /tmp/o',
    `sed -i '/^orn-other:/d' /etc/passwd; rm /tmp/o`,
  ],
  ['an entry in shadow', `echo '${NAME}:*:19000::::::' >> /etc/shadow`, `shadow ${NAME}`, `sed -i '/^${NAME}:/d' /etc/shadow`],
  ['a group', `echo '${NAME}:x:${String(UID)}:' >> /etc/group`, `group ${NAME}`, `sed -i '/^${NAME}:/d' /etc/group`],
  ['a membership', `echo 'club:x:41500:a,${NAME},b' >> /etc/group`, `group-member ${NAME}`, `sed -i '/^club:/d' /etc/group`],
  ['subordinate ids', `echo '${NAME}:100000:65536' >> /etc/subuid`, `subuid ${NAME}`, `sed -i '/^${NAME}:/d' /etc/subuid`],
  [
    'a line of sudoers',
    `mkdir -p /etc/sudoers.d; echo 'x,${NAME} ALL=ALL' > /etc/sudoers.d/x`,
    'sudoers /etc/sudoers.d/x',
    'rm /etc/sudoers.d/x',
  ],
  [
    'a process',
    `${as} setsid sleep 9911 >/dev/null 2>&1 </dev/null &`,
    /^process \d+$/,
    'pkill -f "sleep 9911"; while pgrep -f "sleep 9911"; do :; done',
  ],
  [
    'a process whose main thread has ended',
    `${as} setsid python3 -c 'import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(9912)).start(); ctypes.CDLL(None).pthread_exit(None)' >/dev/null 2>&1 </dev/null &
    until grep -q '^State:.Z' $(grep -l 'Uid:.${String(UID)}' /proc/[0-9]*/status 2>/dev/null) /dev/null; do sleep 0.02; done`,
    /^process \d+$/,
    'pkill -9 -f "[s]leep\\(9912" ; kill -9 $(grep -l "Uid:.41000" /proc/[0-9]*/status | cut -d/ -f3)',
  ],
  [
    'a crontab',
    `mkdir -p /var/spool/cron/crontabs; echo > /var/spool/cron/crontabs/${NAME}`,
    `path /var/spool/cron/crontabs/${NAME}`,
    `rm /var/spool/cron/crontabs/${NAME}`,
  ],
  [
    'an at job',
    `touch /var/spool/cron/atjobs/a1; chown ${String(UID)} /var/spool/cron/atjobs/a1`,
    'at-job /var/spool/cron/atjobs/a1',
    'rm /var/spool/cron/atjobs/a1',
  ],
  [
    'lingering',
    `mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/${NAME}`,
    `path /var/lib/systemd/linger/${NAME}`,
    `rm /var/lib/systemd/linger/${NAME}`,
  ],
  ['a run-time directory', `mkdir /run/user/${String(UID)}`, `path /run/user/${String(UID)}`, `rmdir /run/user/${String(UID)}`],
  ['shared memory', `${as} ipcmk -M 4096`, /^shm \d+$/, 'ipcrm -a'],
  ['a semaphore', `${as} ipcmk -S 1`, /^sem \d+$/, 'ipcrm -a'],
  ['a queue', `${as} ipcmk -Q`, /^msg \d+$/, 'ipcrm -a'],
  ['a POSIX queue', `${as} ${mq("mq_open(b'/mq-r', os.O_CREAT | os.O_RDWR, 0o600, None)")}`, /^mqueue .*mq-r$/, mq("mq_unlink(b'/mq-r')")],
  [
    'a POSIX queue where no mqueue is mounted',
    `umount /dev/mqueue; ${as} ${mq("mq_open(b'/mq-r', os.O_CREAT | os.O_RDWR, 0o600, None)")}`,
    /^mqueue .*mq-r$/,
    mq("mq_unlink(b'/mq-r')"),
  ],
  ['mail', `touch /var/mail/${NAME}`, `path /var/mail/${NAME}`, `rm /var/mail/${NAME}`],
  [
    'a record',
    `mkdir -p /var/lib/orion/accounts; echo '{}' > /var/lib/orion/accounts/${NAME}.json`,
    `record /var/lib/orion/accounts/${NAME}.json`,
    `rm /var/lib/orion/accounts/${NAME}.json`,
  ],
  ['a home', `mkdir /home/${NAME}`, `path /home/${NAME}`, `rmdir /home/${NAME}`],
  [
    'limits',
    `touch /etc/security/limits.d/${NAME}.conf`,
    `path /etc/security/limits.d/${NAME}.conf`,
    `rm /etc/security/limits.d/${NAME}.conf`,
  ],
  ['a file by its owner', `touch /var/tmp/f; chown ${String(UID)} /var/tmp/f`, 'file /var/tmp/f', 'rm /var/tmp/f'],
  ['a file by its group', `touch /etc/f; chgrp ${String(UID)} /etc/f`, 'file /etc/f', 'rm /etc/f'],
  [
    'a name that forges the last line',
    `touch '/dev/shm/x
VERIFIED 0'; chown ${String(UID)} /dev/shm/x*`,
    'file /dev/shm/x?VERIFIED 0',
    'rm /dev/shm/x*',
  ],
  [
    'a file on a mount with a blank in its name',
    `mkdir '/mnt/a b' && mount -t tmpfs none '/mnt/a b' && touch '/mnt/a b/f' && chown ${String(UID)} '/mnt/a b/f'`,
    'file /mnt/a b/f',
    `umount '/mnt/a b'; rmdir '/mnt/a b'`,
  ],
];

describe('verifyClean', () => {
  const { bench, worker } = useBench();
  const planted: ReturnType<typeof aSpec>[] = [];

  const verify = (): ReturnType<Bench['provisioner']['verifyClean']> => bench.provisioner.verifyClean(nodeOf(worker), [account]);

  it('finds nothing on a node that had nobody', async () => {
    expect(await verify()).toMatchObject({ clean: true, findings: [] });
  }, 30_000);

  it.each(leftovers)(
    'finds %s',
    async (_, plant, finding, remove) => {
      await asRoot(worker, plant);
      const matching = typeof finding === 'string' ? finding : expect.stringMatching(finding);
      await eventually(async () => (await verify()).findings.length > 0, { what: 'a finding', timeoutMs: 5_000 });
      expect((await verify()).findings).toContainEqual(matching);
      await worker.exec(remove);
      expect((await verify()).findings).toEqual([]);
    },
    30_000,
  );

  it.each(LEFTOVERS)(
    'finds $name of a tenant when the account alone was deleted',
    async (leftover) => {
      const spec = aSpec(bench.tenantKey);
      const { username, uid } = spec;
      const ground = await layGround(worker, username);
      // By hand: a record of the agent's would lead the verification to the other accounts of this test.
      await asRoot(
        worker,
        `useradd -m -u ${String(uid)} ${username}; umask 077; mkdir /home/${username}/.ssh
      echo '${bench.tenantKey.publicKey}' > /home/${username}/.ssh/authorized_keys; chown -R ${username}: /home/${username}/.ssh`,
      );
      const { session } = await plant([leftover], spec, { worker, ground, login: tenantOf(worker, username, bench.tenantKey) });
      await eventually(() => asRoot(worker, `[ -e /proc/${String(session)} ] || echo gone`), {
        what: 'the session that planted has ended',
      });
      await asRoot(worker, `userdel -f ${username} 2>/dev/null; ! grep ${username} /etc/passwd /etc/shadow`);

      const report = await bench.provisioner.verifyClean(nodeOf(worker), [spec]);

      expect(report.clean).toBe(false);
      expect(report.findings).toContainEqual(expect.stringMatching(leftover.finding(spec)));
      expect(await inspect(worker, spec)).not.toEqual([]);
      planted.push(spec);
    },
    30_000,
  );

  it('finds nothing once the wipe was done after all', async () => {
    await bench.provisioner.wipe(nodeOf(worker), planted);
    expect(await bench.provisioner.verifyClean(nodeOf(worker), planted)).toMatchObject({ clean: true, findings: [] });
  }, 60_000);

  it('lists at most 200 of many and is not clean', async () => {
    await asRoot(worker, `mkdir /var/tmp/many; cd /var/tmp/many; seq 1000 | xargs touch; chown -R ${String(UID)} /var/tmp/many`);
    const report = await verify();
    expect(report.clean).toBe(false);
    expect(report.findings.length).toBe(200);
    await asRoot(worker, 'rm -r /var/tmp/many');
  }, 30_000);

  it('refuses an argument that could mean something to a shell', async () => {
    const bad = { username: 'orn-x;reboot', uid: UID };
    await expect(bench.provisioner.verifyClean(nodeOf(worker), [bad])).rejects.toMatchObject({ failure: 'failed' });
  }, 30_000);
});
