# -*- coding: utf-8 -*-
"""Ends the SSH sessions of an account, and nothing else that it runs."""
import _signal as signal
import os
import time

from orion_node import Trouble, read_text
from orion_processes import is_of
from orion_sshd import program_of

PROGRAMS = ('sshd', 'sshd-session')
ROUNDS, PATIENT_ROUNDS, CLEAN_ROUNDS = 100, 60, 3
PAUSE_SECONDS = 0.05


def end_sessions(name, uid):
    """Several looks in a row have to find nothing: a login that was let in a moment ago is no session yet."""
    clean = 0
    for number in range(ROUNDS):
        found = sessions_of(name, uid)
        clean = 0 if found else clean + 1
        if clean == CLEAN_ROUNDS:
            return
        for pid, own in found:
            # The half that is the tenant's may be stopped by the tenant. Root's half ends with it, and then tidies up.
            signal_to(pid, signal.SIGKILL if own or number > PATIENT_ROUNDS else signal.SIGTERM)
        time.sleep(PAUSE_SECONDS)
    raise Trouble('SSH sessions of %s that do not end: %s' % (name, ' '.join(str(pid) for pid, _own in sessions_of(name, uid))))


def sessions_of(name, uid):
    """[(pid, whether it runs as the account)]: sshd's processes for it, also while the login is under way."""
    pids = [pid for pid in map(int, filter(str.isdigit, os.listdir('/proc'))) if os.path.basename(program_of(pid)) in PROGRAMS]
    return [(pid, own) for pid, own in ((pid, is_of(pid, {uid})) for pid in pids) if own or is_root_for(pid, name)]


def is_root_for(pid, name):
    """sshd calls itself `sshd: NAME [priv]`, `sshd: NAME@pts/0` and the like; only what runs as root is believed."""
    try:
        who = read_text('/proc/%d/cmdline' % pid).partition(': ')[2].split('@')[0].split(' ')[0].rstrip('\0')
    except OSError:
        return False
    return who == name and is_of(pid, {0})


def signal_to(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
