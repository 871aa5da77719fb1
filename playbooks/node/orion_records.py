# -*- coding: utf-8 -*-
"""What a machine notes about an account outside of the account's own files: who logged in from where and when, journals, core dumps, notes of other
programs. The lists are the wipe's half of the table in docs/security.md ("What a tenant leaves"); files/verify_clean.sh has the other half.

Records of others are the machine's owner's: each record is blanked in its place, never moved, since a program may append to the same file meanwhile."""
import glob
import os
import re
import stat

from orion_node import Trouble

# Named after the account or its uid. What would start it again (lingering, crontabs, at jobs) goes before its processes do: see orion_wipe.
FILES = (
    '/run/sudo/ts/{name}', '/run/sudo/ts/{uid}', '/var/lib/sudo/ts/{name}', '/var/lib/sudo/ts/{uid}',
    '/var/lib/sudo/lectured/{name}', '/var/lib/sudo/lectured/{uid}', '/var/db/sudo/lectured/{name}', '/var/db/sudo/lectured/{uid}',
    '/run/faillock/{name}',
    '/var/lib/AccountsService/users/{name}', '/var/lib/AccountsService/icons/{name}',
)
BOOT = '[0-9a-f]' * 32
PATTERNS = (
    '/var/log/journal/*/user-{uid}.journal', '/var/log/journal/*/user-{uid}@*', '/run/log/journal/*/user-{uid}.journal', '/run/log/journal/*/user-{uid}@*',
    '/var/lib/systemd/coredump/core.*.{uid}.' + BOOT + '.*',
    '/var/crash/*.{uid}.crash', '/var/crash/*.{uid}.upload*',
)
# utmp(5), with what logrotate keeps
LOGINS = ('/run/utmp', '/var/log/wtmp*', '/var/log/btmp*')
# A slot for each uid: (file, size). lastlog(8) has times of 64 bits where utmp has.
LONG_TIMES = os.uname().machine in ('aarch64', 'riscv64', 'loongarch64')
UTMP_SIZE, UTMP_USER, USER_SIZE = 400 if LONG_TIMES else 384, 44, 32
SLOTS = (('/var/log/lastlog', 296 if LONG_TIMES else 292), ('/var/log/faillog', 32), ('/var/log/tallylog', 64))
# What takes their place in newer distributions: (file, table, column with the name)
DATABASES = (('/var/lib/lastlog/lastlog2.db', 'Lastlog2', 'Name'), ('/var/lib/wtmpdb/wtmp.db', 'wtmp', 'User'), ('/var/log/wtmp.db', 'wtmp', 'User'))
# Texts and process accounting stay as they are, for the owner of the machine, but no tenant may read them.
LOGS = ('/var/log/auth.log*', '/var/log/secure*', '/var/log/syslog*', '/var/log/messages*', '/var/log/daemon.log*', '/var/log/user.log*', '/var/log/cron*',
        '/var/log/mail*', '/var/log/sudo*', '/var/log/audit/*', '/var/log/account/pacct*', '/var/account/pacct*', '/var/log/journal/*/system*', '/var/log/btmp*',
        '/var/log/wtmp*.?z*')
CHUNK = 1 << 20


def remove_records(accounts):
    """`accounts` is {name: uids}. Returns how many records, files and rows it took away, and files it closed."""
    names = {name.encode() for name in accounts}
    uids = {uid for each in accounts.values() for uid in each}
    done = sum(_remove_files(name, uid) for name, each in accounts.items() for uid in each)
    for pattern in LOGINS:
        done += sum(blank_logins(path, names) for path in glob.glob(pattern))
    for path, size in SLOTS:
        done += sum(blank_slot(path, size, uid) for uid in uids)
    for database in DATABASES:
        done += _delete_rows(database, accounts)
    for pattern in LOGS:
        done += sum(_close(path) for path in glob.glob(pattern))
    return done


def _remove_files(name, uid):
    paths = [path.format(name=name, uid=uid) for path in FILES]
    paths += [path for pattern in PATTERNS for path in glob.glob(pattern.format(name=name, uid=uid))]
    done = 0
    for path in paths:
        try:
            os.unlink(path)
            done += 1
        except (FileNotFoundError, NotADirectoryError):
            pass
    return done


def _open(path):
    """A plain file of the machine's to be changed in place, or None."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def blank_logins(path, names):
    """Blanks the records of these names, and of the ends of their sessions, which name the line and the process alone. Returns how many."""
    if re.search(r'\.(gz|xz|bz2|zst)$|\.db', path):
        return 0  # a compressed one is closed to tenants, a database has rows
    descriptor = _open(path)
    if descriptor is None:
        return 0
    done, sessions, at = 0, set(), 0
    try:
        while True:
            records = os.pread(descriptor, CHUNK // UTMP_SIZE * UTMP_SIZE, at)
            for start in range(0, len(records) - UTMP_SIZE + 1, UTMP_SIZE):
                record = records[start:start + UTMP_SIZE]
                session, user = record[4:40], record[UTMP_USER:UTMP_USER + USER_SIZE].rstrip(b'\0')
                if user in names or (not user and session in sessions):
                    (sessions.add if user else sessions.discard)(session)
                    os.pwrite(descriptor, bytes(UTMP_SIZE), at + start)
                    done += 1
            if len(records) < UTMP_SIZE:
                return done
            at += len(records) // UTMP_SIZE * UTMP_SIZE
    finally:
        os.close(descriptor)


def blank_slot(path, size, uid):
    descriptor = _open(path)
    if descriptor is None:
        return 0
    try:
        if not os.pread(descriptor, size, uid * size).strip(b'\0'):
            return 0  # nothing, or beyond the end of the file
        os.pwrite(descriptor, bytes(size), uid * size)
        return 1
    finally:
        os.close(descriptor)


def _delete_rows(database, accounts):
    path, table, column = database
    if not os.path.isfile(path):
        return 0
    try:
        import sqlite3
    except ImportError:
        raise Trouble('%s names accounts, and the Python of this machine has no sqlite3 to remove them with' % path)
    connection = sqlite3.connect(path, timeout=10)
    try:
        connection.execute('PRAGMA secure_delete = ON')
        with connection:
            done = sum(connection.execute('DELETE FROM %s WHERE %s = ?' % (table, column), (name,)).rowcount for name in accounts)
        connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        return done
    finally:
        connection.close()


def _close(path):
    """Takes the right to read from those who are neither the owner nor of the group."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        known = os.fstat(descriptor)
        if not stat.S_ISREG(known.st_mode) or not known.st_mode & 0o004:
            return 0
        os.fchmod(descriptor, stat.S_IMODE(known.st_mode) & ~0o007)
        return 1
    finally:
        os.close(descriptor)
