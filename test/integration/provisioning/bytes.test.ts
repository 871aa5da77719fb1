import { describe, expect, it } from '@jest/globals';
import { sshExec } from '../../lab';
import { type AccountSpec } from '../../../src/modules/provisioning';
import { aSpec, asRoot, type Bench, nodeOf, tenantOf, useBench } from './support';

/** Files and names on a machine are bytes. Those here are in no encoding that anybody agreed on. */
describe.each([
  ['over prefork workers', true],
  ['over ansible-playbook', false],
])('a machine with odd bytes in its files, %s', (_way, prefork) => {
  const { bench, worker } = useBench({ prefork });
  const present = (spec: AccountSpec): ReturnType<Bench['provisioner']['ensurePresent']> =>
    bench.provisioner.ensurePresent(nodeOf(worker), spec);
  const absent = (spec: AccountSpec): ReturnType<Bench['provisioner']['wipe']> => bench.provisioner.wipe(nodeOf(worker), [spec]);

  it('copies its skeleton as useradd -m does, byte by byte', async () => {
    await asRoot(
      worker,
      `cd /etc/skel && printf 'caf\\351\\0\\377\\n' >profile-latin1 && printf x >"$(printf 'na\\357ve\\nname')" && mkdir -p -m 750 "$(printf 'dir\\377')/deep"
      printf '#!/bin/sh\\n' >"$(printf 'dir\\377')/deep/tool" && chmod 4755 "$(printf 'dir\\377')/deep/tool" && ln -s profile-latin1 near && ln -s /etc/passwd far && ln -s /nowhere dangling
      ln -s /etc/skel/profile-latin1 own && ln profile-latin1 hard && mkdir -m 1777 empty && head -c 3000000 /dev/urandom >big && chmod 600 big && touch -d '2001-02-03 04:05:06' near empty big
      mkdir -m 711 .ssh && printf 'odd \\377\\n' >.ssh/config`,
    );
    const spec = aSpec(bench.tenantKey);
    await present(spec);
    await asRoot(worker, 'useradd -m -k /etc/skel -d /home/reference reference && chmod 700 /home/reference');
    const look = async (home: string): Promise<string[]> => {
      const about = `cd /home/${home} && { find . -mindepth 1 -type f -printf '%P %y %m %n %s %T@ %u\\0' -o -type l -printf '%P %y %l %u\\0' -o -mindepth 1 -printf '%P %y %m %u\\0'; find . -type f -exec md5sum -z {} +; } | sort -z`;
      const found = Buffer.from(await asRoot(worker, `{ ${about}; } | base64 -w0`), 'base64').toString('latin1');
      return found.replaceAll(home, 'HOME').split('\0');
    };
    const copied = await look(spec.username);
    expect(copied).toEqual(await look('reference'));
    expect(copied.join('\n')).toContain('dir\xff/deep/tool f 4755');
    expect((await sshExec(tenantOf(worker, spec.username, bench.tenantKey), 'wc -c <near')).stdout.trim()).toBe('7');
    await asRoot(worker, 'userdel -r reference 2>/dev/null');
    expect((await absent(spec)).changed).toBe(true);
  }, 60_000);

  it('keeps every other line of its account files, its sudo rules and its crontabs as they are', async () => {
    await asRoot(
      worker,
      `useradd -M -u 4242 other && gecos=$(printf 'caf\\351 \\f \\302\\205 \\342\\200\\250 end') &&
      LC_ALL=C awk -v g="$gecos" -F: -v OFS=: '$1 == "other" { $5 = g } { print }' /etc/passwd >/etc/p && cat /etc/p >/etc/passwd && rm /etc/p
      LC_ALL=C awk -v g="$gecos" -F: -v OFS=: '$1 == "other" { $9 = g } { print }' /etc/shadow >/etc/p && cat /etc/p >/etc/shadow && rm /etc/p
      mkdir -p /etc/sudoers.d /var/spool/cron/crontabs && printf '# \\377 \\f orn\\n' >"/etc/sudoers.d/$(printf 'r\\351gle')" && printf '# \\377\\n' >"/var/spool/cron/crontabs/$(printf 'caf\\351')"`,
    );
    const look = (): Promise<string> =>
      asRoot(
        worker,
        "grep -avE '^(orn-|orion-keys:)' /etc/passwd /etc/shadow /etc/group | md5sum; md5sum /etc/sudoers.d/* /var/spool/cron/crontabs/* | md5sum",
      );
    const before = await look();
    const spec = aSpec(bench.tenantKey);
    await present(spec);
    await present({ ...spec, remainingSeconds: 9 * 86_400 });
    expect(await look()).toBe(before);
    const tenant = tenantOf(worker, spec.username, bench.tenantKey);
    expect(
      (
        await sshExec(
          tenant,
          `cd ~ && for n in /tmp/$(printf 'x\\377y') "/tmp/$(printf 'a\\nb\\351')" "$(printf '\\303')"; do echo "$n" >"$n"; done; ls -b /tmp ~`,
        )
      ).code,
    ).toBe(0);
    // A key of the kernel (add_key, to the user's keyring), whose description the kernel lists as it is.
    expect(
      (
        await sshExec(tenant, 'python3 -', {
          input:
            "import ctypes, sys\nsys.exit(ctypes.CDLL(None).syscall(248, b'user', b'odd \\xff\\nline', b'x', ctypes.c_long(1), ctypes.c_long(-4)) < 0)\n",
        })
      ).code,
    ).toBe(0);
    const report = await absent(spec);
    expect(report.changed).toBe(true);
    expect(JSON.stringify(report.details)).toContain('/tmp/x\\\\xffy');
    expect(await look()).toBe(before);
    await asRoot(worker, 'userdel other; rm -rf /etc/sudoers.d/r* /var/spool/cron/crontabs/caf*');
  }, 90_000);

  it('says in one line what was not expected of it', async () => {
    await asRoot(worker, "printf 'orn-broken:x:12\\351:1::/:/bin/sh\\n' >>/etc/passwd");
    const spec = aSpec(bench.tenantKey);
    const reason = await absent(spec).then(
      () => 'none',
      (error: unknown) => String(error),
    );
    expect(reason).toMatch(/unexpected in orion_wipe\.py, line \d+: ValueError: invalid literal/);
    expect(reason).not.toMatch(/\n|Traceback/);
    await asRoot(worker, "LC_ALL=C sed -i '/^orn-broken:/d' /etc/passwd");
    await absent(spec);
  }, 60_000);
});
