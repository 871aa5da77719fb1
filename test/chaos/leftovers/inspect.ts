import type { Worker } from '../../lab';
import type { Account } from './kinds';

/**
 * Looks by itself at all that a uid can own, and at all that its name can be written in. Shares no line with the wipe or its verification.
 */
const LOOK = String.raw`
import glob, os, re, stat, sys
name, uid, address = sys.argv[1], int(sys.argv[2]), sys.argv[3]
mine = lambda number: int(number) == uid
found = []
# Sizes of a record in utmp(5) and in lastlog(8)
LOGIN, LAST = (384, 292) if os.uname().machine == 'x86_64' else (400, 296)

for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        for task in os.listdir('/proc/%s/task' % pid):
            fields = dict(line.split(':\t', 1) for line in open('/proc/%s/task/%s/status' % (pid, task)).read().splitlines() if ':\t' in line)
            ids = fields['Uid'].split() + fields['Gid'].split() + fields['Groups'].split()
            if any(map(mine, ids)) and fields['State'][0] not in 'XZ':
                found.append('process %s %s' % (pid, fields['Name']))
                break
        for kind in ('fd', 'map_files', 'cwd', 'root'):
            path = '/proc/%s/%s' % (pid, kind)
            for link in ([path + '/' + entry for entry in os.listdir(path)] if kind in ('fd', 'map_files') else [path]):
                try:
                    held = os.stat(link)
                except OSError:
                    continue
                # What a transport of root's holds for a session shows that session's own pipes and terminal, never a file
                if mine(held.st_uid) and (stat.S_ISREG(held.st_mode) or stat.S_ISDIR(held.st_mode)):
                    found.append('held by process %s: %s' % (pid, os.readlink(link)))
    except (FileNotFoundError, ProcessLookupError):
        pass

# Read-only trees cannot have been written to; what the kernel invents has no owner
writable = []
for line in open('/proc/self/mountinfo', errors='surrogateescape'):
    before, after = line.split(' - ')
    point, options = before.split()[4:6]
    if after.split()[0] not in ('proc', 'sysfs', 'devpts') and 'ro' not in options.split(','):
        writable.append(point.encode('latin1', 'replace').decode('unicode_escape'))

def walk(directory, device, shown):
    for entry in os.listdir(directory):
        try:
            known = os.stat(entry, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            continue
        path = shown + '/' + entry
        if mine(known.st_uid) or mine(known.st_gid) or name in entry or re.search(r'(?<!\d)%d(?!\d)' % uid, entry):
            found.append('file ' + path[:300])
            continue
        if stat.S_ISDIR(known.st_mode) and known.st_dev == device:
            child = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                walk(child, device, path)
            finally:
                os.close(child)

for point in writable:
    if os.path.isdir(point):
        top = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
        walk(top, os.fstat(top).st_dev, point.rstrip('/'))
        os.close(top)

for file in ('passwd', 'shadow', 'group', 'gshadow', 'subuid', 'subgid', 'sudoers'):
    for path in ('/etc/' + file, '/etc/' + file + '-'):
        if os.path.exists(path):
            for line in open(path, errors='replace'):
                if name in line or (file in ('passwd', 'group') and str(uid) in line.split(':')[2:4]):
                    found.append('line of %s: %s' % (path, line.strip()[:100]))

for kind in ('shm', 'sem', 'msg'):
    header, *rows = [line.split() for line in open('/proc/sysvipc/' + kind)]
    for row in rows:
        owner = dict(zip(header, row))
        if any(mine(owner[field]) for field in ('uid', 'cuid', 'gid', 'cgid')):
            found.append('%s %s' % (kind, row[1]))

for queue in os.listdir('/dev/mqueue'):
    if mine(os.stat('/dev/mqueue/' + queue).st_uid):
        found.append('queue ' + queue)

for line in open('/proc/key-users'):
    owner, counts = line.split(':')
    if mine(owner) and not counts.split()[1].startswith('0/'):
        found.append('keys ' + line.strip())

for file in [path for pattern in ('/run/utmp', '/var/log/wtmp*', '/var/log/btmp', '/var/lib/wtmpdb/*', '/var/lib/lastlog/*') for path in glob.glob(pattern)]:
    content = open(file, 'rb').read()
    logins = [content[at:at + LOGIN] for at in range(0, len(content), LOGIN)] if file.endswith('mp') else []
    # A login of Orion's own that came before the agent had made its account is noted too
    strange = [record for record in logins if record.strip(b'\0') and record[44:76].rstrip(b'\0') != b'orion-mgmt']
    if name.encode() in content or (strange and b'root' not in b''.join(strange)):
        found.append('record in %s of %s' % (file, [record[44:76].rstrip(b'\0') for record in strange]))
for file, size in (('/var/log/lastlog', LAST), ('/var/log/faillog', 32), ('/var/log/tallylog', 64)):
    if os.path.exists(file):
        with open(file, 'rb') as slots:
            slots.seek(uid * size)
            if slots.read(size).strip(b'\0'):
                found.append('slot in ' + file)
for file in glob.glob('/var/log/auth.log') + glob.glob('/var/log/account/*') + glob.glob('/var/log/btmp'):
    if os.stat(file).st_mode & 4:
        found.append('open to all: ' + file)

here = ''.join('%02X' % int(part) for part in reversed(address.split('.')))
for line in list(open('/proc/net/tcp'))[1:]:
    fields = line.split()
    if fields[1].startswith(here + ':') and mine(fields[7]):
        found.append('socket %s in state %s' % (fields[1], fields[3]))

abstract = '@orion-leftover-%s-%d' % (address, uid)
if any(line.split()[-1] == abstract for line in open('/proc/net/unix')):
    found.append('socket ' + abstract)

print('\n'.join(found))
print('LOOKED')
`;

/** What is left of the account on the worker, seen by root; empty after a wipe. Throws when it could not be looked at. */
export async function inspect(worker: Worker, { username, uid }: Account): Promise<string[]> {
  const { code, stdout, stderr } = await worker.exec(`exec python3 - ${username} ${uid} ${worker.address}`, { input: LOOK });
  const lines = stdout.split('\n').filter((line) => line !== '');
  if (code !== 0 || lines.pop() !== 'LOOKED') {
    throw new Error(`cannot look at ${worker.name}: ${stderr.slice(-1000)}`);
  }
  return lines;
}
