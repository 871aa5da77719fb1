import { describe, expect, it } from '@jest/globals';
import { fillDisk, shrinkDisk } from '../../chaos/rogue/workers';
import { eventually, sshExec } from '../../lab';
import { inspect } from '../../chaos/leftovers/inspect';
import { LEFTOVERS } from '../../chaos/leftovers/kinds';
import { judgeGround, layGround, plant } from '../../chaos/leftovers/plant';
import { aSpec, asRoot, asTenant, type Bench, nodeOf, tenantOf, useBench } from './support';

describe('wipe', () => {
  const { bench, worker } = useBench();
  const lease = async (): Promise<ReturnType<typeof aSpec>> => {
    const spec = aSpec(bench.tenantKey);
    await bench.provisioner.ensurePresent(nodeOf(worker), spec);
    return spec;
  };
  const verify = (spec: ReturnType<typeof aSpec>): ReturnType<Bench['provisioner']['verifyClean']> =>
    bench.provisioner.verifyClean(nodeOf(worker), [spec]);

  it('leaves nothing of a tenant that left everything', async () => {
    const spec = await lease();
    const tenant = tenantOf(worker, spec.username, bench.tenantKey);
    const ground = await layGround(worker, 'wipe');
    await plant(LEFTOVERS, spec, { worker, ground, login: tenant });
    const open = sshExec(tenant, 'echo open; sleep 600', { timeoutMs: 120_000 });
    await eventually(() => asRoot(worker, `pgrep -u ${String(spec.uid)} -f 'sleep 600'`), { what: 'the session is open' });
    const dirty = await verify(spec);
    expect(dirty.clean).toBe(false);

    const report = await bench.provisioner.wipe(nodeOf(worker), [spec]);

    expect(await verify(spec)).toMatchObject({ clean: true, findings: [] });
    expect([...(await inspect(worker, spec)), ...(await judgeGround(worker, ground))]).toEqual([]);
    expect((await open).code).not.toBe(0);
    expect((await sshExec(tenant, 'true')).code).toBe(255);
    expect(report.changed).toBe(true);
    expect(report.details).toMatchObject({ crontabs: 1, at_jobs: 1, ipc_removed: 3, queues_removed: 1, accounts_removed: [spec.username] });
    expect(report.details['killed']).toBeGreaterThanOrEqual(4);
    expect(await asRoot(worker, 'grep -c "^root:" /etc/passwd; ls -d /etc/ssh /home')).toBe('1\n/etc/ssh\n/home');
  }, 120_000);

  it('refuses an account that comes after its wipe', async () => {
    const spec = await lease();
    const report = await bench.provisioner.wipe(nodeOf(worker), [spec]);
    expect(report.details['fence']).toBeGreaterThanOrEqual(spec.uid);
    await expect(bench.provisioner.ensurePresent(nodeOf(worker), spec)).rejects.toMatchObject({ failure: 'stale' });
    expect((await verify(spec)).clean).toBe(true);
    await lease();
  }, 60_000);

  it('comes too late for an account that is newer than it, and touches nothing', async () => {
    const [gone, next] = [await lease(), await lease()];
    await expect(bench.provisioner.wipe(nodeOf(worker), [gone], { newestUid: next.uid - 1 })).rejects.toMatchObject({
      failure: 'stale',
      newestUid: next.uid,
    });
    for (const { username } of [gone, next]) {
      expect(await sshExec(tenantOf(worker, username, bench.tenantKey), 'true')).toMatchObject({ code: 0 });
    }
    await bench.provisioner.wipe(nodeOf(worker), [gone, next], { newestUid: next.uid });
    expect((await verify(next)).clean).toBe(true);
  }, 60_000);

  it('takes an account that is gone already for a success', async () => {
    const spec = aSpec(bench.tenantKey);
    await bench.provisioner.wipe(nodeOf(worker), [spec]);
    const again = await bench.provisioner.wipe(nodeOf(worker), [spec]);
    expect(again.changed).toBe(false);
    expect((await verify(spec)).clean).toBe(true);
  }, 60_000);

  it('finishes what somebody deleted halfway', async () => {
    const spec = await lease();
    await asTenant(tenantOf(worker, spec.username, bench.tenantKey), 'touch /tmp/left-$USER');
    await asRoot(worker, `userdel ${spec.username}`);
    const left = await verify(spec);
    expect(left.findings).toEqual(expect.arrayContaining([`file /tmp/left-${spec.username}`, `path /home/${spec.username}`]));
    // By its record alone, without being asked for
    await bench.provisioner.wipe(nodeOf(worker), []);
    expect((await verify(spec)).clean).toBe(true);
  }, 60_000);

  it('wipes every Orion account, asked for or not, and what names them', async () => {
    const [asked, other] = [await lease(), await lease()];
    await asRoot(
      worker,
      `
      mkdir -p /etc/sudoers.d; echo '${other.username} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/extra; echo 'keep ALL=(ALL) ALL' >> /etc/sudoers.d/extra
      gpasswd -a ${other.username} audio; echo '${other.username}:100000:65536' >> /etc/subuid
      echo mail > /var/mail/${other.username}; touch /var/tmp/by-root; chgrp ${other.username} /var/tmp/by-root`,
    );
    await bench.provisioner.wipe(nodeOf(worker), [asked]);
    expect((await verify(asked)).findings).toEqual([]);
    expect((await verify(other)).findings).toEqual([]);
    expect(await asRoot(worker, 'cat /etc/sudoers.d/extra; rm /etc/sudoers.d/extra')).toBe('keep ALL=(ALL) ALL');
  }, 60_000);

  it('reports one trouble and wipes the others all the same', async () => {
    const [first, stuck] = [await lease(), await lease()];
    await asRoot(
      worker,
      `
      mkdir -p /srv/stuck && chown ${String(stuck.uid)} /srv/stuck && mkdir -p /srv/stuck/mounted && mount -t tmpfs none /srv/stuck/mounted`,
    );
    await expect(bench.provisioner.wipe(nodeOf(worker), [first, stuck])).rejects.toMatchObject({
      failure: 'failed',
      message: expect.stringContaining('/srv/stuck'),
    });
    expect(await asRoot(worker, `grep -c -e ^${first.username}: -e ^${stuck.username}: /etc/passwd || :`)).toBe('0');
    expect((await verify(stuck)).clean).toBe(false);
    await asRoot(worker, 'umount /srv/stuck/mounted');
    await bench.provisioner.wipe(nodeOf(worker), [first, stuck]);
    expect((await verify(stuck)).clean).toBe(true);
  }, 60_000);

  it('gets in when the tenant has filled the disk, at the second attempt at the latest', async () => {
    await shrinkDisk(worker);
    const spec = await lease();
    await fillDisk(tenantOf(worker, spec.username, bench.tenantKey));
    // What has to be written before there is room fails, and is made good by the repetition that every failed wipe gets.
    await bench.provisioner.wipe(nodeOf(worker), [spec]).catch((error: unknown) => expect(error).toMatchObject({ failure: 'failed' }));
    await bench.provisioner.wipe(nodeOf(worker), [spec]);
    expect(await verify(spec)).toMatchObject({ clean: true, findings: [] });
    await expect(bench.provisioner.ensurePresent(nodeOf(worker), spec)).rejects.toMatchObject({ failure: 'stale' });
  }, 90_000);

  it('never touches what is not an Orion account', async () => {
    await asRoot(worker, 'setsid sleep 9876 >/dev/null 2>&1 </dev/null &');
    for (const account of [
      { username: 'root', uid: 0 },
      { username: 'orn-x', uid: 0 },
      { username: 'orn-x', uid: 65_534 },
    ]) {
      await expect(bench.provisioner.wipe(nodeOf(worker), [account])).rejects.toMatchObject({ failure: 'failed' });
    }
    expect(await asRoot(worker, 'grep -c -e ^root: -e ^nobody: /etc/passwd; pgrep -f "sleep 9876" >/dev/null && echo alive')).toBe(
      '2\nalive',
    );
  }, 60_000);
});
