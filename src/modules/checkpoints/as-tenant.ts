/** An account on a node, with what backups of its home need. */
export interface AccountOnNode {
  username: string;
  uid: number;
}

export interface TenantScript {
  /** POSIX sh. */
  script: string;
  args?: string[];
  nice?: boolean;
}

const ACCOUNT = /^orn-[a-z0-9-]+$/;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * This program starts on the node as root, drops all rights of root, and then executes the script. Changing the uid alone is not enough. A
 * process also inherits keyrings, limits, a control group, descriptors and signals, and every process of the same uid may trace it. To
 * prevent tracing, the program keeps one capability that the tenant does not have (wake_alarm, or what a container leaves instead). The
 * kernel lets no process trace another one that has more capabilities.
 */
const BECOME = `
import ctypes, os, resource, signal, sys
uid, name, nice, script, args = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:]
libc = ctypes.CDLL(None, use_errno=True)
long = ctypes.c_long
prctl = lambda *words: libc.prctl(*map(long, words))
PDEATHSIG, KEEPCAPS, CAPBSET_READ, NO_NEW_PRIVS, CAP_AMBIENT, RAISE = 1, 8, 23, 38, 47, 2
WAKE_ALARM, BLOCK_SUSPEND, NET_BIND_SERVICE = 35, 36, 10
KEYCTL = {'x86_64': 250, 'i686': 288, 'aarch64': 219, 'riscv64': 219, 'loongarch64': 219, 'armv7l': 311, 'ppc64le': 271, 's390x': 280}
JOIN_SESSION_KEYRING = 1

def texts(path):
    try:
        with open(path) as file:
            return file.read().splitlines()
    except OSError:
        return []

def groups_of(pid):
    for line in texts('/proc/%s/mountinfo' % os.getpid()):
        before, _, after = line.partition(' - ')
        root, point = before.split()[3:5]
        kind, _, options = after.split()[:3]
        for group in texts('/proc/%s/cgroup' % pid) if kind.startswith('cgroup') else []:
            _, controllers, path = group.split(':', 2)
            fits = set(controllers.split(',')) <= set(options.split(',')) if kind == 'cgroup' else controllers == ''
            if fits and path.startswith(root):
                yield point + '/' + path[len(root):] + '/cgroup.procs'

def join_groups():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if any(line.split()[1:2] == [str(uid)] for line in texts('/proc/%s/status' % pid) if line.startswith('Uid:')):
            for file in groups_of(pid):
                try:
                    with open(file, 'w') as procs:
                        procs.write(str(os.getpid()))
                except OSError:
                    pass
            return

def take_limits():
    for line in texts('/etc/security/limits.d/%s.conf' % name):
        words = line.split()
        kind = getattr(resource, 'RLIMIT_' + words[2].upper(), None) if len(words) == 4 and words[:2] == [name, 'hard'] else None
        if kind is not None:
            hard, soft = int(words[3]), resource.getrlimit(kind)[0]
            resource.setrlimit(kind, (hard if soft == resource.RLIM_INFINITY else min(soft, hard), hard))

def become():
    prctl(KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kept = next((each for each in (WAKE_ALARM, BLOCK_SUSPEND, NET_BIND_SERVICE) if prctl(CAPBSET_READ, each, 0, 0, 0) == 1), None)
    bits = [0, 0] if kept is None else [1 << kept if kept < 32 else 0, 1 << kept - 32 if kept >= 32 else 0]
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(0, bits[0], bits[0], 0, bits[1], bits[1])
    if libc.capset(header, data) != 0:
        sys.exit('the privileges of root cannot be given up')
    if kept is not None:
        prctl(CAP_AMBIENT, RAISE, kept, 0, 0)
    prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(PDEATHSIG, 0)

join_groups()
if os.uname().machine in KEYCTL:
    libc.syscall(long(KEYCTL[os.uname().machine]), long(JOIN_SESSION_KEYRING), long(0))
take_limits()
os.chdir('/')
os.umask(0o077)
os.nice(nice)
if os.getpid() != os.getpgrp():
    os.setsid()
become()
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
for descriptor in map(int, os.listdir('/proc/self/fd')):
    if descriptor > 2:
        try:
            os.set_inheritable(descriptor, False)
        except OSError:
            pass
os.execve('/bin/sh', ['sh', '-c', script, 'orion'] + args, {'PATH': '${PATH}', 'LC_ALL': 'C', 'HOME': '/home/' + name})
`;

/**
 * Builds a command line that runs a script with the tenant's uid and without anything of root's. The script has no group, no way to gain
 * privileges, and no variable, keyring, limit or control group of root. So neither a backup nor a restore can touch what is not the
 * tenant's, whatever the home contains and whatever the tenant does meanwhile.
 */
export function tenantCommand({ username, uid }: AccountOnNode, { script, args = [], nice = false }: TenantScript): string {
  if (!ACCOUNT.test(username) || !Number.isSafeInteger(uid) || uid < 1000) {
    throw new Error('not an account of a tenant');
  }
  return [
    'exec',
    'python3',
    '-I',
    '-S',
    '-c',
    quote(BECOME),
    String(uid),
    username,
    nice ? '10' : '0',
    quote(script),
    ...args.map(quote),
  ].join(' ');
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
