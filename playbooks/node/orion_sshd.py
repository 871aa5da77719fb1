# -*- coding: utf-8 -*-
"""Makes the machine's sshd take the keys of Orion's accounts from root's files alone: what a tenant writes into its home admits nobody.

The settings hold for the members of a group, which accounts join when they are made (orion_entries). An account that a control plane of an older
release makes is no member, and has its keys in its home as before: either release may work on the node at any time.
"""
import _signal as signal
import os
import time

from orion_node import KEYS, KEYS_GROUP, STATE, Trouble, read_text, tool, write_file

CONFIG = '/etc/ssh/sshd_config'
DROP_IN = '00-orion.conf'  # Of several values sshd takes the first.
NOTE = STATE + '/sshd'
FIRST, LAST = '# Orion begin: written by Orion, keep it before the first Match', '# Orion end'
# OpenSSH 7.9 and newer take all of them below a Match. A setting that this sshd does not list is left out: it was built without.
WANTED = (('AuthorizedKeysFile', KEYS + '/%u'), ('AuthorizedKeysCommand', 'none'), ('TrustedUserCAKeys', 'none'), ('AuthorizedPrincipalsFile', 'none'),
          ('HostbasedAuthentication', 'no'), ('GSSAPIAuthentication', 'no'), ('KerberosAuthentication', 'no'))
RELOAD_SECONDS = 3


def sshd_version(name):
    """(major, minor) of the machine's sshd, once it is known to take the keys of the account `name` from root's file. It is asked again when its program or
    its configuration changed: starting it takes 5 ms."""
    version, _, files = read_text(NOTE).partition('\n')
    if not files or not all(line == identity_of(line.split(' ', 3)[-1]) for line in files.splitlines()):
        version = make_sure(name)
    major, _, minor = version.partition('.')
    return (int(major), int(minor))


def identity_of(path):
    try:
        known = os.stat(path)
    except OSError:
        return 'none 0 0 ' + path
    return '%d %d %d %s' % (known.st_ino, known.st_size, known.st_mtime_ns, path)


def make_sure(name):
    listener = find_listener()
    program = program_of(listener) if listener else tool('sshd')
    if program is None:
        raise Trouble('no sshd was found on this machine: Orion needs OpenSSH 7.9 or newer')
    config = config_of(listener)
    version = ask_version(program)
    known = settings_of(program, config, name)
    if not are_right(known):
        change(program, config, name, block_for(known))
    if listener:
        reload(listener)
    write_file(NOTE, '\n'.join([version] + [identity_of(path) for path in [program] + files_of(config)]) + '\n', 0o600)
    return version


# -- what holds ------------------------------------------------------------------------------------------------------------------


def ask(*command):
    """(status, output) of a program."""
    import subprocess
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10)
    except subprocess.SubprocessError as error:
        raise Trouble(str(error))
    return done.returncode, done.stdout.decode(errors='replace')


def ask_version(program):
    """Older ones do not know -V and say their version along with the complaint."""
    import re
    found = re.search(r'OpenSSH_(\d+\.\d+)', ask(program, '-V')[1])
    return found.group(1) if found else '0.0'


def settings_of(program, config, name):
    """{keyword in small letters: value} as sshd applies them to a login of `name`; of several values the last."""
    return dict(all_settings_of(program, config, name))


def all_settings_of(program, config, name):
    """The same as pairs: AllowUsers and its like have one for each name."""
    connection = 'user=%s,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22' % name
    status, output = ask(program, '-T', '-f', config, '-C', connection)
    if status != 0:
        raise Trouble('sshd does not accept %s: %s' % (config, output.strip()[-300:]))
    return [line.partition(' ')[::2] for line in output.splitlines()]


def are_right(known):
    return all(known.get(keyword.lower(), value) == value for keyword, value in WANTED)


# -- changing it -----------------------------------------------------------------------------------------------------------------


def block_for(known):
    lines = ['    %s %s' % setting for setting in WANTED if setting[0].lower() in known]
    return '\n'.join([FIRST, 'Match Group ' + KEYS_GROUP] + lines + [LAST]) + '\n'


def change(program, config, name, block):
    """Leaves everything as it was where it does not come to what is wanted."""
    path, text = place_of(config, block)
    before = read_text(path) if os.path.exists(path) else None
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        write_file(path, text, 0o644)
        if not are_right(settings_of(program, config, name)):
            raise Trouble('something before it in the configuration is preferred')
    except BaseException as error:
        put_back(path, before)
        if isinstance(error, (Trouble, OSError)):
            raise Trouble('sshd has to take the keys of Orion accounts from %s alone, and Orion could not set that (%s). Put these lines into %s before the '
                          'first Match and reload sshd:\n%s' % (KEYS, error, config, block))
        raise


def put_back(path, before):
    if before is not None:
        write_file(path, before, 0o644)
    elif os.path.exists(path):
        os.unlink(path)


def place_of(config, block):
    """(file, its new text): a file of its own where the configuration includes one before any Match, else a block before the first Match."""
    text = without_block(read_text(config))
    beside = '%s.d/%s' % (config, DROP_IN)
    above = text.splitlines(True)
    for number, line in enumerate(above):
        words = line.split()
        if words and words[0].lower() == 'include' and beside in included_by(words[1:], config, beside):
            return beside, block
        if words and words[0].lower() == 'match':
            return os.path.realpath(config), ''.join(above[:number]) + block + ''.join(above[number:])
    return os.path.realpath(config), text + ('' if text.endswith('\n') or not text else '\n') + block


def without_block(text):
    before, first, rest = text.partition(FIRST)
    return before + rest.partition(LAST + '\n')[2] if first else text


def included_by(patterns, config, *more):
    """The paths that an Include names, and of `more` those that it would name."""
    import fnmatch
    import glob
    patterns = [os.path.join(os.path.dirname(config), pattern.strip('"')) for pattern in patterns]
    return [path for pattern in patterns for path in glob.glob(pattern) + [each for each in more if fnmatch.fnmatch(each, pattern)]]


def files_of(config):
    """All files that are read along with it, and the folders in which others may come."""
    found = [config]
    for path in found:
        for words in map(str.split, read_text(path).splitlines() if os.path.isfile(path) else []):
            if words and words[0].lower() == 'include':
                named = included_by(words[1:], config)
                folders = [os.path.dirname(os.path.join(os.path.dirname(config), pattern.strip('"'))) for pattern in words[1:]]
                found += [each for each in named + folders if each not in found]
    return found


# -- the sshd that runs ----------------------------------------------------------------------------------------------------------


def find_listener():
    """The sshd that let us in and waits for the next login: the oldest one among our ancestors. None where each login has an sshd of its own, which reads
    its configuration anew."""
    pid, found = os.getpid(), None
    while pid > 1:
        pid = parent_of(pid)
        if os.path.basename(program_of(pid)) == 'sshd':
            found = pid
    return found if found and listening(found) else None


def program_of(pid):
    try:
        return os.readlink('/proc/%d/exe' % pid).replace(' (deleted)', '')
    except OSError:
        return ''


def parent_of(pid):
    return int(read_text('/proc/%d/stat' % pid).rpartition(') ')[2].split()[1])


def config_of(listener):
    """It may have been started with another file."""
    words = read_text('/proc/%d/cmdline' % listener).replace('\0', ' ').split() if listener else []
    return words[words.index('-f') + 1] if '-f' in words[:-1] else CONFIG


def listening(pid):
    """Inodes of its listening sockets."""
    rows = [line.split() for file in ('tcp', 'tcp6') for line in read_text('/proc/net/' + file).splitlines()[1:]]
    waiting = {'socket:[%s]' % row[9] for row in rows if row[3] == '0A'}
    links = set()
    for number in os.listdir('/proc/%d/fd' % pid):
        try:
            links.add(os.readlink('/proc/%d/fd/%s' % (pid, number)))
        except OSError:
            pass
    return links & waiting


def reload(pid):
    """Returns when it listens again: for a moment it does not. Sockets that were handed to it stay the same."""
    before = listening(pid)
    os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < deadline:
        try:
            after = listening(pid)
        except OSError:
            raise Trouble('sshd did not come back after its configuration was changed')
        if len(after) >= len(before) and after != before:
            return
        time.sleep(0.01)
