# -*- coding: utf-8 -*-
"""The files with the keys of accounts: root's alone to write, outside of the homes."""
import os
import stat
import time

from orion_node import KEYS, STATE

KEY_FAMILIES = ('ssh', 'ecdsa', 'sk')
KEY_LETTERS = frozenset('abcdefghijklmnopqrstuvwxyz0123456789@.-')
BASE64 = frozenset('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')


def make_keys_folder():
    """Every account may go through it to its own file, and list none: sshd reads as the account that logs in."""
    for folder, mode in ((STATE, 0o755), (KEYS, 0o711)):
        if not os.path.isdir(folder):
            os.mkdir(folder)
        if stat.S_IMODE(os.stat(folder).st_mode) != mode:
            os.chmod(folder, mode)


def keys_in(text):
    """The keys of such a file, without their options and comments."""
    return {line.partition('" ')[2].split(' ')[1] for line in text.splitlines() if line.count(' ') > 1}


def expiry_time(instant, openssh):
    """sshd reads the value in its local time; since 9.1 a Z makes it UTC. An hour that a clock change repeats is never taken early."""
    if openssh >= (9, 1):
        return time.strftime('%Y%m%d%H%M%SZ', time.gmtime(instant))
    local = time.strftime('%Y%m%d%H%M%S', time.localtime(instant))
    while time.mktime(time.strptime(local, '%Y%m%d%H%M%S')) < instant:
        instant += 1800
        local = time.strftime('%Y%m%d%H%M%S', time.localtime(instant))
    return local


def is_public_key(line):
    """A type, a blob and perhaps a comment, without options."""
    kind, _, rest = line.partition(' ')
    family, _, variety = kind.partition('-')
    blob = rest.partition(' ')[0].rstrip('=')
    return (family in KEY_FAMILIES and variety != '' and KEY_LETTERS.issuperset(variety) and blob != '' and BASE64.issuperset(blob)
            and '\n' not in line and '\r' not in line)
