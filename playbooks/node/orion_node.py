# -*- coding: utf-8 -*-
"""What orion_account and orion_wipe share: the node's lock, its fence, its account files. Python's standard library only, and of that, on the way to
an account, nothing that takes milliseconds to load: json, re and subprocess, all but the C half of signal."""
import _signal as signal
import fcntl
import os
import select
import stat
import time
from _json import encode_basestring_ascii

STATE = '/var/lib/orion'
LOCK = STATE + '/lock'
FENCE = STATE + '/fence'
RECORDS = STATE + '/accounts'
# The keys of accounts, root's alone to write, and the group whose members sshd takes them for (orion_sshd).
KEYS = STATE + '/keys'
KEYS_GROUP = 'orion-keys'
PASSWORD_LOCK = '/etc/.pwd.lock'

PREFIX = 'orn-'
LETTERS = frozenset('abcdefghijklmnopqrstuvwxyz0123456789-')
MIN_UID = 1000
MAX_UID = 2000000000
LABEL = 'security.selinux'
NO_FOLLOW_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Trouble(Exception):
    """Something an operator has to know; its text says what."""


class Expired(Exception):
    """The module's own time limit has passed. No Trouble: nothing that lives with a tool's failure may swallow it."""


def typed(args, required, optional):
    """The arguments of a program as {name: value}. `required` has a type each, `optional` (type, default)."""
    wrong = [name for name in args if name not in required and name not in optional] + [name for name in required if args.get(name) is None]
    if wrong:
        raise Trouble('arguments missing or not known: %s' % ' '.join(sorted(wrong)))
    known = {name: _as(kind, name, args[name]) for name, kind in required.items()}
    for name, (kind, default) in optional.items():
        known[name] = default if args.get(name) is None else _as(kind, name, args[name])
    return known


def _as(kind, name, value):
    """Whoever runs a playbook by hand may write a number as a text."""
    if kind is int and isinstance(value, str) and value.isascii() and value.replace('-', '', 1 if value.startswith('-') else 0).isdigit():
        return int(value)
    if type(value) is not kind:
        raise Trouble('%s is no %s' % (name, kind.__name__))
    return value


def limit_time(seconds):
    """Raises Expired after `seconds`, or when whoever asked has hung up: the controller's deadline does not end what runs on the node."""
    def expire(_signal, _frame):
        raise Expired('not finished within %d s' % seconds)

    def look(_signal, _frame):
        if hung_up():
            raise Expired('nobody waits for it any more')
    signal.signal(signal.SIGALRM, expire)
    signal.alarm(max(1, int(seconds)))
    # The kernel tells of each change at the other end of standard output.
    signal.signal(signal.SIGIO, look)
    fcntl.fcntl(1, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_ASYNC)
    look(None, None)  # for what changed before


def hung_up():
    ends = select.poll()
    ends.register(1, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _descriptor, event in ends.poll(0))


def told(value):
    """As JSON, in one line of ASCII. Texts, numbers, lists and dicts by text are what it knows."""
    if isinstance(value, dict):
        return '{%s}' % ', '.join('%s: %s' % (told(str(name)), told(each)) for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return '[%s]' % ', '.join(map(told, value))
    if isinstance(value, str):
        return encode_basestring_ascii(value if value.isascii() else readable(value))
    return 'null' if value is None else str(value).lower() if isinstance(value, bool) else '%d' % value


def readable(text):
    """Bytes that are no UTF-8 as `\\xff`: half a character in JSON is an error, or a question mark, further on."""
    try:
        return text.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
    except UnicodeEncodeError:
        return text.encode('utf-8', 'backslashreplace').decode('utf-8')


def is_account_name(name):
    """orn-, then 1 to 28 small letters, digits and hyphens, a hyphen not first."""
    own = name[len(PREFIX):]
    return name.startswith(PREFIX) and 1 <= len(own) <= 28 and own[0] != '-' and LETTERS.issuperset(own)


def check_account(name, uid):
    if not is_account_name(name):
        raise Trouble('%r is not the name of an Orion account (orn-…)' % name)
    if not MIN_UID <= uid <= MAX_UID:
        raise Trouble('uid %r is outside of %d–%d' % (uid, MIN_UID, MAX_UID))


def take_lock():
    """The lock under which accounts of this node change; freed when the process ends. Waits until the time limit."""
    os.makedirs(STATE, mode=0o755, exist_ok=True)
    os.makedirs(RECORDS, mode=0o700, exist_ok=True)
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def read_fence():
    """The highest uid that was wiped here. An unreadable fence is an error: guessing 0 would let stale work in."""
    try:
        with open(FENCE) as file:
            return int(file.read().strip())
    except FileNotFoundError:
        return 0
    except ValueError:
        raise Trouble('%s does not hold a number' % FENCE)


def raise_fence(uid):
    """Returns whether the fence moved; it never goes down."""
    if uid <= read_fence():
        return False
    write_file(FENCE, '%d\n' % uid, 0o600)
    return True


def write_file(path, text, mode, owner=(0, 0), label=None):
    """Replaces a file of root's at once, and durably: a fence or a record that a power cut forgets is worth nothing."""
    beside = '%s.orion-%d' % (path, os.getpid())
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, 'w', encoding='utf-8', errors='surrogateescape') as file:
            file.write(text)
            file.flush()
            os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            if label is not None:
                os.setxattr(file.fileno(), LABEL, label)
            os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        try:
            os.unlink(beside)
        except OSError:
            pass
        raise


def replace_file(path, text):
    """As write_file, with the mode, the owner and the security label that the file has."""
    known = os.stat(path)
    label = _label_of(path)
    write_file(path, text, stat.S_IMODE(known.st_mode), (known.st_uid, known.st_gid), label)


def _label_of(path):
    """SELinux's, or None where there is none."""
    try:
        return os.getxattr(path, LABEL)
    except OSError:
        return None


def read_text(path):
    """Whatever is in a file: write_file makes the same bytes of it. Nothing when there is no file."""
    try:
        with open(path, encoding='utf-8', errors='surrogateescape', newline='') as file:
            return file.read()
    except FileNotFoundError:
        return ''


def entries(path):
    """The colon-separated lines of an account file: three fields at least, which a comment hardly has. Read from the file itself: what counts is this node, no directory service.
    A line ends with a newline alone: splitlines would end it with a form feed in somebody's name, too."""
    return [line.split(':') for line in read_text(path).split('\n') if line.count(':') > 1]


def drop_lines(path, unwanted):
    """Removes the lines for which `unwanted(line)` holds; returns how many."""
    text = read_text(path)
    lines = text.split('\n')
    kept = [line for line in lines if not unwanted(line)]
    if len(kept) < len(lines):
        replace_file(path, '\n'.join(kept))
    return len(lines) - len(kept)


class password_files_lock:
    """lckpwdf(3)'s lock, which the shadow tools take too. Held only around edits made here, never around a tool."""

    def __enter__(self):
        self.descriptor = os.open(PASSWORD_LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_):
        os.close(self.descriptor)


def set_shadow_fields(name, wanted):
    """Edits fields of a shadow entry, {1: password, 7: expiry in days}: a tool for each would take 5 ms, and BusyBox has none for the expiry."""
    with password_files_lock():
        lines = read_text('/etc/shadow').split('\n')
        for number, line in enumerate(lines):
            fields = line.split(':')
            if fields[0] == name and len(fields) == 9 and any(fields[index] != value for index, value in wanted.items()):
                for index, value in wanted.items():
                    fields[index] = value
                lines[number] = ':'.join(fields)
                replace_file('/etc/shadow', '\n'.join(lines))
                return True
    return False


def shadow_of(name):
    """[password, expiry] as they stand, or None."""
    for fields in entries('/etc/shadow'):
        if fields[0] == name and len(fields) == 9:
            return [fields[1], fields[7]]
    return None


def tool(name):
    """Its path, or None where it is not installed."""
    paths = (folder + '/' + name for folder in ('/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin'))
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def run(*command):
    """Runs a tool by its bare name; Trouble with its own words when it fails."""
    import subprocess
    path = tool(command[0])
    if path is None:
        raise Trouble('%s is not installed' % command[0])
    try:
        done = subprocess.run([path] + list(command[1:]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    except subprocess.SubprocessError as error:
        raise Trouble(str(error))
    if done.returncode != 0:
        raise Trouble('%s failed (%d): %s' % (command[0], done.returncode, done.stdout.decode(errors='replace').strip()[-500:]))


def record_path(name):
    return '%s/%s.json' % (RECORDS, name)


def read_record(name):
    text = read_text(record_path(name))
    if not text:
        return {}
    import json
    try:
        record = json.loads(text)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def now():
    return int(time.time())
