# -*- coding: utf-8 -*-
"""Does something with the rights of an account, out of reach of its processes."""
import os

# A real uid that nobody has: Debian and systemd keep it free. The kernel lets a process signal or trace another one only if it has the same real uid.
NOBODY_AT_ALL = 65535


def as_uid(uid, work, real=NOBODY_AT_ALL):
    """Calls `work` in a child that has the effective uid `uid`; returns the number from 0 to 255 that `work` returned. Real and saved uid are not the
    account's: a process of the account can neither kill nor stop the child before its work is done."""
    child = os.fork()
    if child == 0:
        number = 255
        try:
            os.setgroups([])
            os.setresgid(real, uid, real)
            os.setresuid(real, uid, real)
            number = work()
        finally:
            os._exit(number)
    return os.WEXITSTATUS(os.waitpid(child, 0)[1])
