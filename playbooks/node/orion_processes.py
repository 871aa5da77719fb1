# -*- coding: utf-8 -*-
"""Ends every process of some uids, for certain, or lets them go on."""
import _signal as signal  # signal itself takes 4 ms to load
import os
import time

from orion_guise import as_uid
from orion_node import Trouble

ROUNDS = 200
CLEAN_SCANS = 2
PAUSE_SECONDS = 0.02


def processes_of(uids):
    """Pids that run as one of `uids`: real, effective, saved or file system uid. Zombies do not count, but a dead main thread
    may hide living ones, so every thread is looked at."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if is_of(int(pid), uids):
            found.append(int(pid))
    return found


def is_of(pid, uids):
    try:
        threads = os.listdir('/proc/%d/task' % pid)
    except OSError:
        return False
    return any(_names(pid, thread, uids) for thread in threads)


def _names(pid, thread, uids):
    state = []
    try:
        with open('/proc/%s/task/%s/status' % (pid, thread), 'rb') as file:
            for line in file:
                if line.startswith(b'State:'):
                    state = line.split()[1:2]
                elif line.startswith(b'Uid:'):
                    return state not in ([b'Z'], [b'X']) and any(int(uid) in uids for uid in line.split()[1:])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return False


def kill_all(uids):
    """Kills until two scans in a row find nothing; returns the number of pids seen. Each round begins with one kill(-1) as each uid, whatever a scan has
    found: the kernel lets no process of a relay of forks pass while it signals all of them, and each may live for less time than a scan takes."""
    seen, clean = set(), 0
    for _round in range(ROUNDS):
        found = processes_of(uids)
        seen.update(found)
        for uid in uids:
            as_uid(uid, _kill_what_may_be_signalled)
        clean = 0 if found else clean + 1
        if clean == CLEAN_SCANS:
            return len(seen)
        for pid in found:
            _signal_one(pid, uids, signal.SIGKILL)
        if found:
            time.sleep(PAUSE_SECONDS)
    raise Trouble('processes that do not die: %s' % ' '.join(map(str, processes_of(uids)[:20])))


def thaw_all(uids):
    """Lets stopped processes go on, the youngest first: a shell that sees its command still stopped would take it for suspended."""
    found = sorted(processes_of(uids), key=_started, reverse=True)
    for pid in found:
        _signal_one(pid, uids, signal.SIGCONT)
    return len(found)


def _started(pid):
    try:
        with open('/proc/%d/stat' % pid, 'rb') as file:
            return int(file.read().rpartition(b') ')[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _kill_what_may_be_signalled():
    os.kill(-1, signal.SIGKILL)
    return 0


def _signal_one(pid, uids, number):
    """As root, so for what another uid in its credentials keeps out of reach, too. The pidfd makes sure that it is still the same process."""
    try:
        descriptor = os.pidfd_open(pid)
    except AttributeError:
        os.kill(pid, number)
        return
    except OSError:
        return
    try:
        if is_of(pid, uids):
            signal.pidfd_send_signal(descriptor, number)
    except (AttributeError, OSError):
        pass
    finally:
        os.close(descriptor)

