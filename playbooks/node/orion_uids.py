# -*- coding: utf-8 -*-
"""Whether a number is nobody's on this machine, before an account gets it as its uid and its gid. What the number owns, the account could read, and its wipe would
kill and remove."""
import os

from orion_directory import Question, free_from, owner_of
from orion_node import MAX_UID, entries, read_text
from orion_owners import read_owners

SUBORDINATE = ('/etc/subuid', '/etc/subgid')
STATUS_BYTES = 16384


class Taken(Exception):
    """`why` is for people; `next_free` is the lowest number above it that may be free."""

    def __init__(self, why, next_free):
        Exception.__init__(self, why)
        self.next_free = next_free


def refuse_taken(name, uid):
    """Throws Taken. The name service is asked while the rest is looked at."""
    question = Question(lambda: owner_of(name, uid))
    why = by_entry(name, uid) or by_range(uid) or by_process(uid)
    why = question.answer() or why
    if why:
        raise Taken('uid %d is not free here: %s' % (uid, why), next_free(uid))


def by_entry(name, uid):
    """The files themselves: nsswitch may leave them out."""
    number = str(uid)
    for fields in entries('/etc/passwd'):
        if fields[0] != name and number in fields[2:4]:
            return '/etc/passwd has it, as a number of %s' % fields[0]
    for fields in entries('/etc/group'):
        if fields[0] != name and fields[2] == number:
            return '/etc/group has it, as the group %s' % fields[0]
    return None


def by_range(uid):
    for path in SUBORDINATE:
        for owner, first, last in subordinate(path):
            if first <= uid <= last:
                return '%s gives %d to %d to %s' % (path, first, last, owner)
    for first, last in read_owners():
        if first <= uid <= last:
            return 'it owned files when the file systems were last walked'
    return None


def subordinate(path):
    """[(owner, first, last)]"""
    found = []
    for line in read_text(path).splitlines():
        fields = line.split(':')
        if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
            found.append((fields[0], int(fields[1]), int(fields[1]) + int(fields[2]) - 1))
    return found


def by_process(uid):
    wanted = b'%d' % uid
    for pid in os.listdir('/proc'):
        if pid[0] < ':':
            status = status_of(pid)
            if wanted in status and wanted in ids_in(status):
                return 'the process %s runs with it' % pid
    return None


def status_of(pid):
    try:
        file = os.open('/proc/%s/status' % pid, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, STATUS_BYTES)
        finally:
            os.close(file)
    except (FileNotFoundError, ProcessLookupError):
        return b''


def ids_in(status):
    """Real, effective, saved and file system ids, users' and groups', and the further groups. None of one that is dead."""
    found = []
    for line in status.split(b'\n'):
        if line.startswith((b'State:\tZ', b'State:\tX')):
            return []
        if line.startswith((b'Uid:', b'Gid:', b'Groups:')):
            found += line.split()[1:]
    return found


def next_free(uid):
    """Passes over whole ranges. Slow, for a refusal alone; the next order looks at the number anew."""
    taken = sorted(all_taken())

    def jump(number):
        for first, last in taken:
            if first <= number <= last:
                number = last + 1
        return number
    return min(Question(lambda: free_from(uid + 1, jump)).answer(), MAX_UID)


def all_taken():
    """[(first, last)] of what can be listed."""
    numbers = [int(field) for fields in entries('/etc/passwd') for field in fields[2:4] if field.isdigit()]
    numbers += [int(fields[2]) for fields in entries('/etc/group') if fields[2].isdigit()]
    numbers += [int(number) for pid in os.listdir('/proc') if pid[0] < ':' for number in ids_in(status_of(pid))]
    ranges = [(first, last) for path in SUBORDINATE for _owner, first, last in subordinate(path)]
    return ranges + read_owners() + [(number, number) for number in numbers]
