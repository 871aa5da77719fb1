# -*- coding: utf-8 -*-
"""Asks the machine's name service (nsswitch: files, LDAP, sssd, extrausers and so on) about names and numbers, in a child: a directory server that does not answer
would hang the C library for minutes, where no signal of Python's gets through."""
import os
import select
import time
import _signal as signal

from orion_node import Trouble

PATIENCE_SECONDS = 5


class Question:
    """`work` runs in a child from now on; `answer` waits for the text that it returns."""

    def __init__(self, work):
        self.began = time.monotonic()
        self.read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            text = '!'
            try:
                # Neither the machine's lock nor the way back to the control plane: a child that hangs must hold none of them.
                os.dup2(write, 0)
                os.closerange(1, 1024)
                text = work() or ''
            except BaseException as error:
                text = '!' + repr(error)
            finally:
                try:
                    os.write(0, text.encode(errors='backslashreplace')[:4000] + b'\n')
                finally:
                    os._exit(0)
        os.close(write)

    def answer(self):
        ends, answer = select.poll(), None
        ends.register(self.read, select.POLLIN)
        try:
            left = PATIENCE_SECONDS - (time.monotonic() - self.began)
            answer = os.read(self.read, 8192).decode() if ends.poll(max(0, left) * 1000) else None
        finally:
            os.close(self.read)
            os.kill(self.pid, signal.SIGKILL)
            # Without waiting: a child in the hands of a file system that does not answer ends when that does.
            os.waitpid(self.pid, 0 if answer else os.WNOHANG)
        if answer is None:
            raise Trouble('the name service of this machine (nsswitch.conf) did not answer within %d s: whether the uid is free is not known' % PATIENCE_SECONDS)
        if not answer.endswith('\n') or answer.startswith('!'):
            raise Trouble('the name service of this machine could not be asked: %s' % answer.strip('!\n'))
        return answer[:-1]


def owner_of(name, uid):
    """Whose the number or the name is; '' where both are free, or the account's own. For a child."""
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
    what is taken otherwise. For a child."""
    import grp
    import pwd
    step, number = 1, jump(number)
    while found_by(pwd.getpwuid, number) or found_by(grp.getgrgid, number):
        number, step = jump(number + step), step * 2
    return '%d' % number


def found_by(look, key):
    try:
        return look(key)
    except (KeyError, OverflowError):
        return None
