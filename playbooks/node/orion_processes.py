# -*- coding: utf-8 -*-
"""Ends every process of some uids, for certain, or lets them go on."""
import _signal as signal  # signal itself takes 4 ms to load
import os
import time

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
    """Kills until two scans in a row find nothing; returns the number of pids seen. One kill(-1) as the uid ends all of its
    processes at once, so a relay of forks cannot outrun it; a pid by pid loop can be outrun."""
    seen, clean = set(), 0
    for _round in range(ROUNDS):
        found = processes_of(uids)
        if not found:
            clean += 1
            if clean == CLEAN_SCANS:
                return len(seen)
            continue
        clean = 0
        seen.update(found)
        for uid in uids:
            _kill_as(uid)
        for pid in processes_of(uids):
            _signal_one(pid, uids, signal.SIGKILL)
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


def _kill_as(uid):
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.kill(-1, signal.SIGKILL)
        except OSError:
            pass
        finally:
            os._exit(0)
    os.waitpid(child, 0)


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

