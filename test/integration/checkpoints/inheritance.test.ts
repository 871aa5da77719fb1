import { beforeAll, describe, expect, it } from '@jest/globals';
import { tenantCommand } from '../../../src/modules/checkpoints/as-tenant';
import { eventually, sshExec, type SshTarget } from '../../lab';
import { aSpec, asRoot, asTenant, nodeOf, tenantOf, useBench } from '../provisioning/support';

const LIMIT_MS = 60_000;

/** What a process has besides its uid, a line each. */
const PORTRAIT = `
grep -E '^(Uid|Gid|Groups|Sig(Blk|Ign|Cgt)|Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Umask):' /proc/self/status
cut -c 1-26,27-68 /proc/self/limits
sed 's/^/cgroup /' /proc/self/cgroup
ls /proc/self/fd | sed 's/^/fd /'
cut -d ' ' -f 7 /proc/self/stat | sed 's/^/tty /'
cat /proc/self/oom_score_adj | sed 's/^/oom /'
sed 's/^/key /' /proc/keys`;

/** Keys and control groups are the kernel's: what is put there goes at the end. */
const ROOTS_KEY = `import ctypes
libc = ctypes.CDLL(None)
libc.syscall(248, b'user', b'of-root', b'a key of root', 13, ctypes.c_long(-4))`;
const FORGET_ROOTS_KEY = `import ctypes
libc = ctypes.CDLL(None)
key = libc.syscall(250, ctypes.c_long(10), ctypes.c_long(-4), b'user', b'of-root', ctypes.c_long(0))
libc.syscall(250, ctypes.c_long(9), ctypes.c_long(key), ctypes.c_long(-4))`;

/** Attaches to each process that runs under its name and is no child of its own, and tells what the kernel said. */
const TRACE = `import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
SEIZE, DETACH = 0x4206, 17
end = time.monotonic() + 20
while time.monotonic() < end:
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            words = open('/proc/%s/cmdline' % pid).read()
        except OSError:
            continue
        if 'sleep' in words and '4.25' in words and 'python' not in words:
            seized = libc.ptrace(ctypes.c_long(SEIZE), ctypes.c_long(int(pid)), None, None)
            said = [os.strerror(ctypes.get_errno()) if seized < 0 else 'traced']
            for what in ('environ', 'mem', 'fd/0'):
                try:
                    os.close(os.open('/proc/%s/%s' % (pid, what), os.O_RDONLY)); said.append('read ' + what)
                except OSError as error:
                    said.append(error.strerror)
            print(', '.join(said)); sys.exit(0)
    time.sleep(0.01)
print('met nobody')`;

describe('a program of ours that runs as a tenant', () => {
  const { bench, worker } = useBench();
  let spec: ReturnType<typeof aSpec>;
  let tenant: SshTarget;
  let management: SshTarget;

  beforeAll(async () => {
    spec = aSpec(bench.tenantKey);
    await bench.provisioner.ensurePresent(nodeOf(worker), spec);
    tenant = tenantOf(worker, spec.username, bench.tenantKey);
    management = tenantOf(worker, 'orion-mgmt', bench.managementKey);
  }, LIMIT_MS);

  /** As a home backup runs it. */
  const asOurs = (script: string): Promise<string> => asTenant(management, tenantCommand(spec, { script }));

  it(
    "has the limits, control group, descriptors and signals of a login, and no key or right of root's",
    async () => {
      const group = `/run/groups/${spec.username}`;
      await asRoot(worker, `python3 -c "${ROOTS_KEY}"; mkdir -p /run/groups; mount -t cgroup -o freezer none /run/groups; mkdir ${group}`);
      const staying = sshExec(tenant, 'exec sleep 30.5', { timeoutMs: LIMIT_MS });
      try {
        await eventually(() => asRoot(worker, `pgrep -u ${spec.uid} -f 'sleep 30.5' || true`), { what: 'the tenant is at work' });
        await asRoot(worker, `for pid in $(pgrep -u ${spec.uid}); do echo $pid > ${group}/cgroup.procs; done`);
        const login = await asTenant(tenant, `sh -c '${PORTRAIT.replaceAll("'", "'\\''")}'`);
        const ours = await asOurs(PORTRAIT);

        const lines = (portrait: string, kind: RegExp): string[] =>
          portrait
            .split('\n')
            .filter((line) => kind.test(line))
            .map((line) => line.replace(/\s+/g, ' '));
        for (const kind of [/^(Uid|Gid|Sig|CapBnd)/, /^Max /, /^fd /, /^tty /, /^oom /]) {
          expect(lines(ours, kind)).toEqual(lines(login, kind));
        }
        expect(lines(ours, /^cgroup .*freezer/)).toEqual([expect.stringMatching(new RegExp(`freezer:/${spec.username}$`))]);
        expect(lines(ours, /^Groups/)).toEqual(['Groups: ']);
        expect(lines(ours, /^NoNewPrivs/)).toEqual(['NoNewPrivs: 1']);
        // Nothing but what keeps the tenant from tracing it: to wake the machine from sleep.
        expect(lines(ours, /^Cap(Inh|Prm|Eff|Amb)/)).toEqual(
          ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map((set) => `${set}: 0000000800000000`),
        );
        expect(lines(ours, /^key /).filter((line) => /of-root|_uid/.test(line) && !line.includes(`.${spec.uid}: `))).toEqual([]);
        expect(lines(ours, /^key .* 0 +\d+ keyring +_ses: /).map((line) => line.split(': ').at(-1))).toEqual(['empty']);
      } finally {
        await asRoot(
          worker,
          `python3 -c "${FORGET_ROOTS_KEY}"; pkill -9 -u ${spec.uid}; until rmdir ${group}; do sleep 0.05; done; umount /run/groups`,
        );
        await staying;
      }
    },
    LIMIT_MS,
  );

  it(
    'is not to be traced or looked into by the tenant, though its uid is the same',
    async () => {
      const tracing = sshExec(tenant, 'python3 -', { input: TRACE, timeoutMs: LIMIT_MS });
      await asOurs('sleep 4.25');
      expect((await tracing).stdout.trim()).toBe(
        ['Operation not permitted', 'Permission denied', 'Permission denied', 'Permission denied'].join(', '),
      );
    },
    LIMIT_MS,
  );

  it('says why when it is asked to be anybody but a tenant', () => {
    expect(() => tenantCommand({ username: 'root', uid: 0 }, { script: 'id' })).toThrow('not an account of a tenant');
  });
});
