/** The account that leaves it. */
export interface Account {
  username: string;
  uid: number;
}

/** One kind of leftover as a tenant makes it, with what a login gives and no more. */
export interface Leftover {
  /** As it reads in a report: "a crontab". */
  name: string;
  /** Run as root before: what the machine itself does for an account, which is $NAME and $ID. */
  prepare?: string;
  /**
   * Run by the tenant ($USER, $ID) in its home, stdin empty; fails when it could not be planted. $VICTIM is a file of root's that all may
   * write, $SHARED a directory of root's that all may write.
   */
  plant: string;
  /** A finding of the verification that names this leftover and not the account itself. */
  finding: (account: Account) => RegExp;
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const file =
  (path: string) =>
  ({ username, uid }: Account): RegExp =>
    new RegExp(`^file ${escape(path.replace('$USER', username).replace('$UID', String(uid)))}$`);
const process = (): RegExp => /^process \d+$/;
const python = (name: string, code: string): string => `cat > ${name}.py <<'END'\n${code}\nEND\n`;
/** In a session of its own, with nothing that ties it to the login. */
const detached = (command: string): string => `setsid ${command} </dev/null >/dev/null 2>&1 &`;

const PROCESSES: Leftover[] = [
  { name: 'a job in the background', plant: 'nohup sleep 9999 >/dev/null 2>&1 &', finding: process },
  {
    name: 'a job that ignores TERM and HUP',
    plant: `nohup sh -c 'trap "" TERM HUP; while :; do sleep 60; done' >/dev/null 2>&1 &`,
    finding: process,
  },
  { name: 'a daemon that forked twice', plant: `setsid sh -c 'setsid sleep 9999 >/dev/null 2>&1 &' >/dev/null 2>&1`, finding: process },
  {
    // Each lives for less time than a scan of /proc takes; at most two minutes in all.
    name: 'a relay of forks',
    plant: `${python(
      'relay',
      `import os, time
os.setsid()
end = time.monotonic() + 120
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    time.sleep(0.0005)`,
    )}python3 relay.py </dev/null >/dev/null 2>&1 &`,
    finding: process,
  },
  {
    name: 'a process whose main thread has ended',
    plant: `${python(
      'headless',
      `import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(9999)).start()
ctypes.CDLL(None).pthread_exit(None)`,
    )}nohup python3 headless.py >/dev/null 2>&1 &`,
    finding: process,
  },
  { name: 'a stopped process', plant: detached(`sh -c 'kill -STOP $$; sleep 9999'`), finding: process },
  { name: "a program of root's that waits for the tenant", plant: detached(`sh -c 'sleep 9999 | passwd'`), finding: process },
  {
    name: 'a process in namespaces of its own',
    plant: detached(`unshare --user --map-root-user --mount --pid --fork sh -c 'mount -t tmpfs none /mnt; echo x > /mnt/x; sleep 9999'`),
    finding: process,
  },
  {
    name: 'listening sockets',
    plant: `${python(
      'listen',
      `import os, socket, time
tcp = socket.socket()
tcp.bind((os.environ['SSH_CONNECTION'].split()[2], 0))
tcp.listen()
abstract = socket.socket(socket.AF_UNIX)
abstract.bind('\\0orion-leftover-%s-%d' % (tcp.getsockname()[0], os.getuid()))
abstract.listen()
named = socket.socket(socket.AF_UNIX)
named.bind('/tmp/socket-' + os.environ['USER'])
named.listen()
open('listening', 'w').close()
time.sleep(9999)`,
    )}${detached('python3 listen.py')}
i=0; until [ -e listening ] || [ $i -ge 100 ]; do i=$((i + 1)); sleep 0.05; done; [ -e listening ]`,
    finding: file('/tmp/socket-$USER'),
  },
  {
    name: "the master of multiplexed SSH connections, and an sshd of the tenant's own",
    plant: `rm -f own own.pub; ssh-keygen -q -t ed25519 -N '' -f own || exit 1
ssh -F /dev/null -f -N -M -S "$HOME/master" -i own -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new \\
  -o "ProxyCommand=/usr/sbin/sshd -i -f /dev/null -h $HOME/own -o AuthorizedKeysFile=$HOME/own.pub -o StrictModes=no -o UsePAM=no" "$USER@itself" >/dev/null 2>&1`,
    finding: process,
  },
  {
    name: 'a reader that waits at a FIFO',
    plant: `mkfifo "/tmp/fifo-$USER"; ${detached('cat "/tmp/fifo-$USER"')}`,
    finding: file('/tmp/fifo-$USER'),
  },
  {
    name: 'a file that is deleted and still open',
    plant: `exec 9>"/var/tmp/deleted-$USER"; echo secret >&9; rm "/var/tmp/deleted-$USER"; ${detached('sleep 9999')}`,
    finding: process,
  },
  {
    name: 'a writer that never stops',
    plant: `${python(
      'writer',
      `import os, time
end = time.monotonic() + 120
n = 0
while time.monotonic() < end:
    n += 1
    open('/var/tmp/written-%s-%d' % (os.environ['USER'], n % 500), 'w').close()
    time.sleep(0.005)`,
    )}${detached('python3 writer.py')}
i=0; until [ -e "/var/tmp/written-$USER-1" ] || [ $i -ge 100 ]; do i=$((i + 1)); sleep 0.05; done; [ -e "/var/tmp/written-$USER-1" ]`,
    finding: ({ username }) => new RegExp(`^file /var/tmp/written-${username}-\\d+$`),
  },
];

const SCHEDULES_AND_IPC: Leftover[] = [
  {
    name: 'a crontab',
    plant: `echo '* * * * * sleep 50' | crontab -`,
    finding: ({ username }) => new RegExp(`^path /var/spool/cron/crontabs/${username}$`),
  },
  { name: 'an at job', plant: `echo 'sleep 9999' | at now + 3 hours 2>/dev/null`, finding: () => /^at-job \S+$/ },
  { name: 'System V shared memory', plant: 'ipcmk -M 4096 >/dev/null', finding: () => /^shm \d+$/ },
  { name: 'a System V semaphore', plant: 'ipcmk -S 2 >/dev/null', finding: () => /^sem \d+$/ },
  { name: 'a System V queue', plant: 'ipcmk -Q >/dev/null', finding: () => /^msg \d+$/ },
  {
    name: 'a POSIX message queue',
    plant: `python3 - <<'END'
import ctypes, os
rt = ctypes.CDLL('librt.so.1', use_errno=True)
if rt.mq_open(b'/mq-%d' % os.getuid(), os.O_CREAT | os.O_RDWR, 0o600, None) < 0:
    raise OSError(ctypes.get_errno(), 'mq_open')
END`,
    finding: ({ uid }) => new RegExp(`^mqueue \\S+/mq-${uid}$`),
  },
];

const FILES: Leftover[] = [
  {
    name: 'files with newlines in their names',
    plant: `for dir in /tmp /var/tmp /dev/shm /run/lock; do touch "$dir/a
b $USER" || exit 1; done`,
    finding: file('/dev/shm/a?b $USER'),
  },
  {
    name: 'names that look like options, or are no text',
    plant: `touch -- "$HOME/-rf" && cd /tmp && touch -- "-rf $USER" "$(printf '\\377\\033[2J')$USER" "*$USER"`,
    finding: file('/tmp/-rf $USER'),
  },
  {
    name: 'a directory deeper than PATH_MAX',
    plant: `python3 - <<'END'
import os
os.chdir('/var/tmp')
os.mkdir('deep-%d' % os.getuid())
os.chdir('deep-%d' % os.getuid())
for _ in range(300):
    os.mkdir('d' * 100)
    os.chdir('d' * 100)
open('bottom', 'w').close()
END`,
    finding: file('/var/tmp/deep-$UID'),
  },
  {
    name: 'a directory that nobody may enter',
    plant: 'mkdir -p "/tmp/closed-$USER/in" && touch "/tmp/closed-$USER/in/x" && chmod 0 "/tmp/closed-$USER/in" "/tmp/closed-$USER"',
    finding: file('/tmp/closed-$USER'),
  },
  {
    name: 'a setuid copy of a shell',
    plant: 'cp /bin/sh "/var/tmp/sh-$USER" && chmod 6755 "/var/tmp/sh-$USER"',
    finding: file('/var/tmp/sh-$USER'),
  },
  {
    name: 'links to files of the machine',
    plant:
      'ln -s /etc/passwd "/tmp/link-$USER" && ln -s /etc "/tmp/dirlink-$USER" && ln -s "$VICTIM" "${VICTIM%/*}" "$HOME" && ln -s / "$HOME/root"',
    finding: file('/tmp/dirlink-$USER'),
  },
  {
    name: 'a hard link to a file of another',
    plant: 'mkdir "$SHARED/links-$ID" && ln "$VICTIM" "$SHARED/links-$ID/hard"',
    finding: ({ uid }) => new RegExp(`^file \\S+/links-${uid}$`),
  },
  { name: 'a huge file with nothing in it', plant: 'truncate -s 1T "/var/tmp/sparse-$USER"', finding: file('/var/tmp/sparse-$USER') },
  {
    name: 'a thousand files',
    plant: 'mkdir "/dev/shm/many-$USER" && cd "/dev/shm/many-$USER" && seq 1000 | xargs touch',
    finding: file('/dev/shm/many-$USER'),
  },
  { name: 'a file in a directory of another', plant: 'touch "$SHARED/of-$ID"', finding: ({ uid }) => new RegExp(`^file \\S+/of-${uid}$`) },
  {
    name: 'a run-time directory',
    prepare: 'install -d -m 700 -o "$ID" -g "$ID" "/run/user/$ID"',
    plant: 'touch "/run/user/$ID/bus"',
    finding: file('/run/user/$UID/bus'),
  },
  {
    name: 'mail',
    prepare: 'echo hello > "/var/mail/$NAME" && chown "$ID:mail" "/var/mail/$NAME" && chmod 660 "/var/mail/$NAME"',
    plant: 'cat "/var/mail/$USER" >/dev/null',
    finding: ({ username }) => new RegExp(`^path /var/mail/${username}$`),
  },
  {
    name: 'a directory where the wipe would move the keys',
    plant: 'mkdir -p .orion-fenced/full && mkdir -p .ssh',
    finding: file('/home/$USER/.orion-fenced/full'),
  },
];

const KEYS = `import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
ADD_KEY, KEYCTL = (248, 250) if os.uname().machine == 'x86_64' else (217, 219)
def call(number, *args):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args])
    if result < 0:
        raise OSError(ctypes.get_errno(), 'keys')
    return result
# A name of its own: a second key of one name would be an update of the first, which its owner may have shut.
def add(ring, kind=b'user', text=b'secret'):
    key = call(ADD_KEY, kind, b'of-%d-%d' % (os.getuid(), os.getpid()), text, len(text or b''), ring)
    call(KEYCTL, 5, key, 0x3f3f3f3f)
    return key`;
const keys = (code: string): string => `python3 - <<'END'\n${KEYS}\n${code}\nEND\n`;
const key = ({ uid }: Account): RegExp => new RegExp(`^key \\d+ of uid ${uid}$`);

/** In the kernel, with an owner, and neither file nor process. */
const KERNEL: Leftover[] = [
  { name: 'a key in the user keyring', plant: keys('add(-4)'), finding: key },
  { name: 'a key in the keyring of user sessions', plant: keys('call(KEYCTL, 8, -5, -3)\nadd(-5)'), finding: key },
  { name: 'a key in the persistent keyring', plant: keys('add(call(KEYCTL, 22, -1, -3))'), finding: key },
  { name: 'keyrings within keyrings', plant: keys(`add(add(add(-4, b'keyring', None), b'keyring', None))`), finding: key },
  {
    name: 'a key whose owner took all rights from it but those of strangers',
    plant: keys('call(KEYCTL, 5, add(-4), 0x3f)'),
    finding: key,
  },
  {
    name: 'control groups',
    prepare:
      'mkdir -p /run/groups && { mountpoint -q /run/groups || mount -t cgroup -o freezer none /run/groups || mount -t cgroup2 none /run/groups; } && mkdir "/run/groups/$NAME" && chown "$ID:$ID" "/run/groups/$NAME"',
    plant: 'mkdir -p "/run/groups/$USER/a/b"',
    finding: ({ username }) => new RegExp(`^cgroup /run/groups/${username}/a$`),
  },
];

/** A login from 192.0.2.7 as utmp(5) has it, between two of root's. */
const LOGIN_RECORD = `import os, struct, time
name, uid = os.environ['NAME'].encode(), int(os.environ['ID'])
def login(path, user):
    with open(path, 'ab') as file:
        file.write(struct.pack('<hxxi32s4s32s256shhiii16s20x', 7, os.getpid(), b'pts/7', b'ts/7', user, b'192.0.2.7', 0, 0, 0, int(time.time()), 0, bytes(16)))
def slot(path, size):
    with open(path, 'r+b' if os.path.exists(path) else 'w+b') as file:
        file.seek(uid * size)
        file.write(b'x' * size)
def note(path, text=b'', mode=0o600):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(text)
    os.chmod(path, mode)`;
const asMachine = (code: string): string => `export NAME ID; python3 - <<'END'\n${LOGIN_RECORD}\n${code}\nEND\n`;
const nothing = 'true';
const loginRecord = (path: string) => (): RegExp => new RegExp(`^login-record ${escape(path)}$`);
const note =
  (path: string) =>
  ({ username, uid }: Account): RegExp =>
    new RegExp(`^note ${escape(path.replace('$USER', username).replace('$UID', String(uid)))}$`);
const database = (path: string, table: string, column: string): string =>
  asMachine(`import sqlite3
os.makedirs('${path.replace(/\/[^/]*$/, '')}', exist_ok=True)
with sqlite3.connect('${path}') as connection:
    connection.execute('CREATE TABLE IF NOT EXISTS ${table} (${column} TEXT, RemoteHost TEXT)')
    connection.execute('INSERT INTO ${table} VALUES (?, ?)', (name.decode(), '192.0.2.7'))`);
const JOURNAL = '/var/log/journal/0123456789abcdef0123456789abcdef';
const CORE = `/var/lib/systemd/coredump/core.a.b.$UID.${'0123456789abcdef'.repeat(2)}.77.1700000000000000.zst`;

/** What a machine notes of an account by itself. */
const NOTES: Leftover[] = [
  ...['/run/utmp', '/var/log/wtmp', '/var/log/wtmp.1', '/var/log/wtmp-20260101'].map((path): Leftover => ({
    name: `logins in ${path}`,
    prepare: asMachine(`[login('${path}', user) for user in (b'root', name, b'root')]`),
    plant: nothing,
    finding: loginRecord(path),
  })),
  {
    name: 'failed logins that all may read',
    prepare: asMachine(`login('/var/log/btmp', name)\nos.chmod('/var/log/btmp', 0o664)`),
    plant: nothing,
    finding: () => /^open-log \/var\/log\/btmp$/,
  },
  {
    name: 'the last login',
    prepare: asMachine(`slot('/var/log/lastlog', 292 if os.uname().machine == 'x86_64' else 296)`),
    plant: nothing,
    finding: loginRecord('/var/log/lastlog'),
  },
  {
    name: 'counts of failed logins',
    prepare: asMachine(`slot('/var/log/faillog', 32)\nslot('/var/log/tallylog', 64)`),
    plant: nothing,
    finding: loginRecord('/var/log/tallylog'),
  },
  {
    name: 'the last login in a database',
    prepare: database('/var/lib/lastlog/lastlog2.db', 'Lastlog2', 'Name'),
    plant: nothing,
    finding: loginRecord('/var/lib/lastlog/lastlog2.db'),
  },
  {
    name: 'logins in a database',
    prepare: database('/var/lib/wtmpdb/wtmp.db', 'wtmp', 'User'),
    plant: nothing,
    finding: loginRecord('/var/lib/wtmpdb/wtmp.db'),
  },
  {
    name: 'a journal of the user',
    prepare: asMachine(`note('${JOURNAL}/user-%d.journal' % uid)\nnote('${JOURNAL}/user-%d@1.journal' % uid)`),
    plant: nothing,
    finding: note(`${JOURNAL}/user-$UID.journal`),
  },
  { name: 'a core dump', prepare: asMachine(`note('${CORE}'.replace('$UID', str(uid)))`), plant: nothing, finding: note(CORE) },
  {
    name: 'what sudo remembers',
    prepare: asMachine(`note('/run/sudo/ts/' + name.decode())\nnote('/var/lib/sudo/lectured/%d' % uid)`),
    plant: nothing,
    finding: note('/run/sudo/ts/$USER'),
  },
  {
    name: 'a count of faillock',
    prepare: asMachine(`note('/run/faillock/' + name.decode())`),
    plant: nothing,
    finding: note('/run/faillock/$USER'),
  },
  {
    name: 'a log that all may read',
    prepare: asMachine(`note('/var/log/auth.log', b'Accepted publickey for ' + name, 0o644)`),
    plant: nothing,
    finding: () => /^open-log \/var\/log\/auth\.log$/,
  },
  {
    name: 'process accounting that all may read',
    prepare: asMachine(`note('/var/log/account/pacct', b'', 0o644)`),
    plant: nothing,
    finding: () => /^open-log \/var\/log\/account\/pacct$/,
  },
];

/** Everything that tenants are known to leave behind. One list: the wipe, the verification and the chaos runs are held to the same. */
export const LEFTOVERS: Leftover[] = [...PROCESSES, ...SCHEDULES_AND_IPC, ...KERNEL, ...NOTES, ...FILES];
