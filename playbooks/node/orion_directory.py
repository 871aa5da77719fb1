# -*- coding: utf-8 -*-
"""Asks the machine's name service (nsswitch: files, LDAP, sssd, extrausers and so on) about names and numbers, in a thread: a directory server that does not answer
would hang the C library for minutes. The thread is left behind then, and ends with the program (start.py); a child would cost 2.5 ms more, at each rent."""
import sys
import _signal as signal
import _thread

from orion_node import Trouble

PATIENCE_SECONDS = 5
# Before Python 3.8 the whole interpreter waits for the C library. Only the kernel can end the program then, and the machine's lock with it.
IS_DEAF = sys.version_info < (3, 8)


class Question:
    """`work` runs from now on; `answer` waits for the text that it returns."""

    def __init__(self, work):
        self.work, self.text, self.error = work, None, None
        self.over = _thread.allocate_lock()
        self.over.acquire()
        if IS_DEAF:
            self.handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
            self.left = signal.alarm(PATIENCE_SECONDS)
        _thread.start_new_thread(self._run, ())

    def _run(self):
        try:
            self.text = self.work()
        except Exception as error:
            self.error = error
        self.over.release()

    def answer(self):
        came = self.over.acquire(True, PATIENCE_SECONDS)
        if IS_DEAF:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, self.handler)
            signal.alarm(self.left)
        if not came:
            raise Trouble('the name service of this machine (nsswitch.conf) did not answer within %d s: whether the uid is free is not known' % PATIENCE_SECONDS)
        if self.error:
            raise Trouble('the name service of this machine could not be asked: %r' % self.error)
        return self.text


def owner_of(name, uid):
    """Whose the number or the name is; '' where both are free, or the account's own. For a Question."""
    import grp
    import pwd
    for what, look, key in (('uid', pwd.getpwuid, uid), ('gid', grp.getgrgid, uid)):
        found = found_by(look, key)
        if found is not None and found[0] != name:
            return 'the %s %d is that of %s' % (what, uid, found[0])
    for what, look in (('user', pwd.getpwnam), ('group', grp.getgrnam)):
        found = found_by(look, name)
        if found is not None and found[2] != uid:
            return 'there is another %s %s, with the number %d' % (what, name, found[2])
    return ''


def free_from(number, jump):
    """The first of some numbers at or above `number` that nobody has by name service; the steps grow, since whole ranges are taken. `jump(number)` passes over
    what is taken otherwise. For a Question."""
    import grp
    import pwd
    step, number = 1, jump(number)
    while found_by(pwd.getpwuid, number) or found_by(grp.getgrgid, number):
        number, step = jump(number + step), step * 2
    return number


def found_by(look, key):
    try:
        return look(key)
    except (KeyError, OverflowError):
        return None
