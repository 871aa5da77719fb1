# -*- coding: utf-8 -*-
"""Removes the keys of some uids from the kernel. A key and a keyring outlive the processes of their owner, and whom its mode lets in can read it."""
import ctypes
import os
import time

from orion_guise import as_uid
from orion_node import Trouble

KEYCTL = {'x86_64': 250, 'i686': 288, 'aarch64': 219, 'riscv64': 219, 'loongarch64': 219, 'armv7l': 311, 'ppc64le': 271, 's390x': 280}
GET_KEYRING_ID, JOIN_SESSION_KEYRING, REVOKE, SETPERM, CLEAR, LINK, INVALIDATE, GET_PERSISTENT = 0, 1, 3, 5, 7, 8, 21, 22
SESSION, USER, USER_SESSION = -3, -4, -5
ALL_RIGHTS = 0x3f3f0000  # for whoever possesses it, and for its owner
# The kernel frees a key that is invalidated, or was held by a process that ended, a little later.
GONE_WITHIN_SECONDS = 3
HANDLE = frozenset(b'0123456789abcdef')

libc = ctypes.CDLL(None, use_errno=True)


def keyctl(operation, *args):
    """The result, or -1."""
    return libc.syscall(ctypes.c_long(KEYCTL[os.uname().machine]), ctypes.c_long(operation), *[ctypes.c_long(arg) for arg in args])


def invalidate_keys(uids):
    """Returns how many keys the kernel counted for these uids. It forgets them a little later: see `expect_no_keys`."""
    counted = keys_of(uids)
    for uid in counted:
        if os.uname().machine not in KEYCTL:
            raise Trouble('keys of uid %d in the kernel, and no way to remove them on %s' % (uid, os.uname().machine))
        # The real uid decides whose keyrings these are.
        as_uid(uid, lambda uid=uid: _invalidate_all(uid), real=uid)
    return sum(counted.values())


def expect_no_keys(uids):
    """Trouble if the kernel counts one in the end. A process holds it, or its owner took all rights from a keyring: then only a restart clears it."""
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    left = keys_of(uids)
    while left and time.monotonic() < deadline:
        time.sleep(0.005)
        left = keys_of(uids)
    if left:
        raise Trouble('keys that stay in the kernel, perhaps until the machine restarts: %s' % ', '.join('%d of uid %d' % (left[uid], uid) for uid in sorted(left)))


def keys_of(uids):
    """{uid: number of keys} of those that have any. A container that hides the table from us also keeps keys from its tenants."""
    found = {}
    try:
        with open('/proc/key-users') as file:
            for line in file:
                uid, _, rest = line.partition(':')
                count = int(rest.split()[1].partition('/')[0])
                if int(uid) in uids and count > 0:
                    found[int(uid)] = count
    except OSError:
        pass
    return found if not masked() else {}


def masked():
    """Container engines put a device over /proc/keys, and refuse the system calls that make keys."""
    return not os.path.isfile('/proc/keys')


def _invalidate_all(uid):
    """As the owner: root has no right to another's keys. What is linked to the session's keyring is possessed, and so is what is linked to that."""
    keyctl(JOIN_SESSION_KEYRING, 0)
    keyctl(GET_PERSISTENT, -1, SESSION)
    for ring in (USER, USER_SESSION):
        keyctl(SETPERM, ring, ALL_RIGHTS)
        keyctl(LINK, ring, SESSION)
    own = keyctl(GET_KEYRING_ID, SESSION, 0)  # ends with this process
    for key in _visible(uid):
        keyctl(SETPERM, key, ALL_RIGHTS)
    for key in _visible(uid):  # more of them than before
        if key == own:
            continue
        keyctl(CLEAR, key)
        if keyctl(INVALIDATE, key) < 0:
            keyctl(REVOKE, key)
    return 0


def _visible(uid):
    """Descriptions of keys are any bytes, newlines too: a line that is none of the table is left out, and one that is forged names a key of this uid's or none."""
    with open('/proc/keys', 'rb') as file:
        fields = [line.split() for line in file]
    return [int(each[0], 16) for each in fields if len(each) > 5 and each[5] == b'%d' % uid and HANDLE.issuperset(each[0])]
