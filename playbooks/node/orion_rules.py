# -*- coding: utf-8 -*-
"""What decides on this machine whether an account may log in, as a short text that changes when its owner changes any of it: the control plane logs in as a
tenant would when it has not seen this text from this machine before."""
import binascii
import os

from orion_sshd import NOTE, find_listener, identity_of
from orion_node import read_text

PAM = ('sshd', 'common-account', 'common-auth', 'common-session', 'password-auth', 'system-auth', 'postlogin', 'other')
FILES = ('/etc/ssh/sshrc', '/etc/nologin', '/run/nologin', '/etc/security/access.conf', '/etc/security/time.conf', '/etc/security/limits.conf', '/etc/hosts.allow',
         '/etc/hosts.deny', '/etc/shells', '/etc/nsswitch.conf', '/etc/environment', '/etc/bash.bashrc', '/etc/bashrc', '/bin/sh', '/bin/bash')


def rules():
    """`orion_sshd.sshd_version` has looked at sshd and its configuration before."""
    lines = [read_text(NOTE)]
    lines += [identity_of('/etc/pam.d/' + name) for name in PAM] + [identity_of(path) for path in FILES]
    lines += sockets_of(find_listener())
    lines += mounts_of_interest()
    text = '\n'.join(lines).encode()
    return '%08x%08x' % (binascii.crc32(text), binascii.crc32(text[::-1]))


def mounts_of_interest():
    """What accounts and homes lie on, by the kernel's table alone: to look at a file system whose server is away would take for ever."""
    fields = (line.split() for line in read_text('/proc/self/mountinfo').splitlines())
    return [' '.join(line[2:6]) for line in fields if line[4] in ('/', '/home') or line[4].startswith('/etc/')]


def sockets_of(listener):
    """The sshd that takes logins has others after each reload: only then does it go by its files."""
    if listener is None:
        return ['no listener']
    try:
        folder = '/proc/%d/fd' % listener
        return sorted('%d %s' % (listener, link) for link in (os.readlink('%s/%s' % (folder, name)) for name in os.listdir(folder)) if link.startswith('socket:'))
    except OSError:
        return ['listener is gone']
