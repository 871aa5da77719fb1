import { describe, expect, it } from '@jest/globals';
import { StaleUidError } from '../../../src/modules/provisioning';
import { sshExec } from '../../lab';
import { aSpec, asRoot, asTenant, type Bench, nodeOf, tenantOf, useBench } from './support';

describe('ensurePresent', () => {
  const { bench, worker } = useBench();
  const present = (spec: ReturnType<typeof aSpec>): ReturnType<Bench['provisioner']['ensurePresent']> =>
    bench.provisioner.ensurePresent(nodeOf(worker), spec);
  const record = async (username: string): Promise<Record<string, number>> =>
    JSON.parse(await asRoot(worker, `cat /var/lib/orion/accounts/${username}.json`)) as Record<string, number>;

  it('makes an account that its key opens, without any right of root', async () => {
    const spec = aSpec(bench.tenantKey);
    const report = await present(spec);
    expect(report.changed).toBe(true);
    const tenant = tenantOf(worker, spec.username, bench.tenantKey);
    expect(await asTenant(tenant, 'id')).toMatch(
      new RegExp(
        `^uid=${spec.uid}\\(${spec.username}\\) gid=${spec.uid}\\(${spec.username}\\) groups=${spec.uid}\\(${spec.username}\\),\\d{3}\\(orion-keys\\)$`,
      ),
    );
    expect((await sshExec(tenant, 'sudo -n true')).code).not.toBe(0);
    expect((await sshExec(tenant, 'cat /etc/shadow')).code).not.toBe(0);
    expect(await asRoot(worker, `stat -c '%a %U' /home/${spec.username} /var/lib/orion/keys /var/lib/orion/keys/${spec.username}`)).toBe(
      `700 ${spec.username}\n711 root\n640 root`,
    );
    expect(await asRoot(worker, `grep -c '^${spec.username}:' /etc/subuid /etc/subgid || :`)).not.toMatch(/:[1-9]/);
  }, 30_000);

  it('keeps one account out of the home of another', async () => {
    const [mine, other] = [aSpec(bench.tenantKey), aSpec(bench.tenantKey)];
    await present(mine);
    await present(other);
    const tenant = tenantOf(worker, mine.username, bench.tenantKey);
    expect((await sshExec(tenant, `ls /home/${other.username}`)).code).not.toBe(0);
  }, 30_000);

  it('changes nothing the second time', async () => {
    const spec = aSpec(bench.tenantKey);
    await present(spec);
    const again = await present(spec);
    expect(again.changed).toBe(false);
    expect(again.details['actions']).toEqual([]);
  }, 30_000);

  it('moves every form of the end when the lease is extended', async () => {
    const spec = aSpec(bench.tenantKey);
    await present(spec);
    const before = await record(spec.username);
    const report = await present({ ...spec, remainingSeconds: 3600 + 5 * 86_400 });
    expect(report.changed).toBe(true);
    const after = await record(spec.username);
    expect((after['ends_at'] ?? 0) - (before['ends_at'] ?? 0)).toBeGreaterThan(5 * 86_400 - 10);
    const shadow = await asRoot(worker, `grep '^${spec.username}:' /etc/shadow`);
    expect(Number(shadow.split(':')[7])).toBe(Math.floor((after['ends_at'] ?? 0) / 86_400) + 2);
    const expiry = new Date(((after['ends_at'] ?? 0) + 60) * 1000).toISOString().replace(/[-:T]|\.\d+/g, '');
    expect(await asRoot(worker, `cat /var/lib/orion/keys/${spec.username}`)).toContain(
      `restrict,pty,port-forwarding,expiry-time="${expiry}" ${bench.tenantKey.publicKey}`,
    );
  }, 30_000);

  it('refuses logins by key after the end, and lets them in again when it was moved', async () => {
    const spec = aSpec(bench.tenantKey);
    await present(spec);
    const tenant = tenantOf(worker, spec.username, bench.tenantKey);
    await asTenant(tenant, 'true');
    await asRoot(worker, `sed -i 's/expiry-time="[0-9]*Z"/expiry-time="20200101000000Z"/' /var/lib/orion/keys/${spec.username}`);
    expect((await sshExec(tenant, 'true')).code).toBe(255);
    expect((await present(spec)).changed).toBe(true);
    await asTenant(tenant, 'true');
  }, 30_000);

  it.each([
    ['a name of the machine', { username: 'root' }],
    ['a uid of the machine', { uid: 33 }],
    ['a name that climbs out of /home', { username: 'orn-../../root' }],
    ['a key with options of its own', { publicKeys: ['command="id" ssh-ed25519 AAAA'] }],
  ])(
    'refuses %s',
    async (_, change) => {
      await expect(present(aSpec(bench.tenantKey, change))).rejects.toMatchObject({ failure: 'failed' });
      expect(await asRoot(worker, 'grep -c "^root:" /etc/passwd; cat /var/lib/orion/accounts/root.json 2>/dev/null || :')).toBe('1');
    },
    30_000,
  );

  it('refuses a uid and a name that belong to something else', async () => {
    const [first, second] = [aSpec(bench.tenantKey), aSpec(bench.tenantKey)];
    await present(first);
    await expect(present({ ...second, uid: first.uid })).rejects.toMatchObject({ failure: 'uid_taken', nextFree: expect.any(Number) });
    await expect(present({ ...second, username: first.username })).rejects.toMatchObject({ failure: 'failed' });
    await expect(present({ ...first, generation: 2 })).rejects.toMatchObject({ failure: 'failed' });
    await expect(asRoot(worker, `id ${second.username}`)).rejects.toThrow();
  }, 30_000);

  it('I1: refuses a new account beside another one, whatever its uid', async () => {
    const [first, second] = [aSpec(bench.tenantKey), aSpec(bench.tenantKey)];
    await present(first);
    const refusal = await present({ ...second, alone: true }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({ failure: 'stale', message: expect.stringContaining('another account of Orion is here') });
    expect(refusal).not.toBeInstanceOf(StaleUidError);
    await expect(asRoot(worker, `id ${second.username}`)).rejects.toThrow();
  }, 30_000);

  it('never renders a key comment as a template on the control plane', async () => {
    const spec = aSpec(bench.tenantKey);
    const comment = `{{ lookup('pipe', 'touch ${bench.lab.dir}/rendered') }}{% raw %}`;
    await present({ ...spec, publicKeys: [`${bench.tenantKey.publicKey} ${comment}`] });
    expect(await asRoot(worker, `cat /var/lib/orion/keys/${spec.username}`)).toContain(comment);
  }, 30_000);

  it("keeps its program on the node, in a folder of root's own, and does not rely on one that is damaged or of another version", async () => {
    const kept = '/var/lib/orion/programs';
    await present(aSpec(bench.tenantKey));
    const [folder, file = ''] = (await asRoot(worker, `stat -c '%a %U' ${kept}; ls ${kept}/orion_account.*`)).split('\n');
    expect(folder).toBe('700 root');
    await asRoot(worker, `truncate -s 1000 ${file}; touch ${kept}/orion_account.old`);
    expect((await present(aSpec(bench.tenantKey))).changed).toBe(true);
    expect(await asRoot(worker, `ls ${kept}/orion_account.*`)).toBe(file);
    expect(Number(await asRoot(worker, `stat -c %s ${file}`))).toBeGreaterThan(1000);
  }, 30_000);

  it('leaves the account files to the tools of a node where they are not plain', async () => {
    await asRoot(worker, "printf '# by: hand\\n' >>/etc/group; echo '+::::::' >>/etc/passwd");
    const spec = aSpec(bench.tenantKey);
    await present(spec);
    expect(await asRoot(worker, `id -u ${spec.username}; tail -n 1 /etc/passwd; grep -c '^${spec.username}:' /etc/shadow /etc/group`)).toBe(
      `${String(spec.uid)}\n+::::::\n/etc/shadow:1\n/etc/group:1`,
    );
    await asTenant(tenantOf(worker, spec.username, bench.tenantKey), 'true');
    await asRoot(worker, 'sed -i /^+/d /etc/passwd; sed -i /^#/d /etc/group');
  }, 30_000);

  it('opens an account by password only if a hash was given', async () => {
    const hash = '$6$saltsaltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/';
    const [plain, withPassword] = [aSpec(bench.tenantKey), aSpec(bench.tenantKey, { passwordHash: hash })];
    await present(plain);
    await present(withPassword);
    expect((await asRoot(worker, `grep '^${plain.username}:' /etc/shadow`)).split(':')[1]).toBe('*');
    expect((await asRoot(worker, `grep '^${withPassword.username}:' /etc/shadow`)).split(':')[1]).toBe(hash);
  }, 30_000);
});
