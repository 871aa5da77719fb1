# -*- coding: utf-8 -*-
"""System V and POSIX IPC of some uids."""
import ctypes
import os
import tempfile

from orion_files import mounts
from orion_guise import as_uid
from orion_node import Trouble

IPC_RMID = 0
CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
EPERM, ENODEV, EINVAL, EIDRM = 1, 19, 22, 43

libc = ctypes.CDLL(None, use_errno=True)


def remove_sysv(uids):
    """Segments, semaphores and queues owned or created by one of `uids`; returns how many."""
    remove = {'shm': lambda number: libc.shmctl(number, IPC_RMID, None),
              'sem': lambda number: libc.semctl(number, 0, IPC_RMID, None),
              'msg': lambda number: libc.msgctl(number, IPC_RMID, None)}
    removed = 0
    for kind, control in remove.items():
        for number, owner in _sysv(kind, uids):
            error = 0 if control(number) == 0 else ctypes.get_errno()
            if error == EPERM:  # a root without CAP_SYS_ADMIN, as in a container: the owner may
                error = as_uid(owner, lambda: 0 if control(number) == 0 else ctypes.get_errno())
            if error == 0:
                removed += 1
            elif error not in (EINVAL, EIDRM):
                raise Trouble('%s %d: %s' % (kind, number, os.strerror(error)))
    return removed


def _sysv(kind, uids):
    try:
        with open('/proc/sysvipc/' + kind) as file:
            rows = [line.split() for line in file]
    except FileNotFoundError:
        return []
    columns = {name: index for index, name in enumerate(rows[0])}
    owners = [(row, {int(row[columns['uid']]), int(row[columns['cuid']])} & uids) for row in rows[1:]]
    return [(int(row[1]), min(own)) for row, own in owners if own]  # behind the key: shmid, semid, msqid


def remove_queues(uids):
    """POSIX message queues; returns how many. They are visible only in a mounted mqueue file system: where the node has none it is
    mounted in a mount namespace of a child's own, so that the mount ends with the child whatever happens."""
    mounted = [point for point, kind, _options in mounts() if kind == 'mqueue']
    if mounted:
        return _unlink_queues(mounted[0], uids)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = b'error'
        try:
            answer = _in_own_namespace(uids)
        finally:
            os.write(writer, answer)
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer.isdigit():
        raise Trouble('POSIX message queues cannot be looked at: %s' % answer.decode(errors='replace'))
    return int(answer)


def _in_own_namespace(uids):
    if libc.unshare(CLONE_NEWNS) != 0:
        return b'unshare: ' + os.strerror(ctypes.get_errno()).encode()
    libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None)
    point = tempfile.mkdtemp(prefix='orion-mqueue-').encode()
    try:
        if libc.mount(b'mqueue', point, b'mqueue', 0, None) != 0:
            error = ctypes.get_errno()
            return b'0' if error == ENODEV else b'mount: ' + os.strerror(error).encode()
        try:
            return b'%d' % _unlink_queues(point, uids)
        finally:
            libc.umount2(point, 0)
    except OSError as error:
        return str(error).encode()
    finally:
        os.rmdir(point)


def _unlink_queues(point, uids):
    own = [name for name in os.listdir(point) if os.lstat(os.path.join(point, name)).st_uid in uids]
    for name in own:
        os.unlink(os.path.join(point, name))
    return len(own)
