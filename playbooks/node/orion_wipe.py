# -*- coding: utf-8 -*-
"""Removes Orion accounts with all that they left on the node.

Wipes the given accounts, every passwd entry and every record named orn-…. Already gone is success. Raises the node's fence first, so
that work for a wiped account that comes too late is refused. One account's trouble does not keep the others from being wiped; any trouble
fails the program at the end. Its arguments are described in delete_user.yml.
"""
import ctypes
import os
import re

from orion_files import Progress, Sweep, remove_cgroups
from orion_ipc import remove_queues, remove_sysv
from orion_keyrings import expect_no_keys, invalidate_keys
from orion_mounts import LOCAL, mounts
from orion_node import (
    KEYS, MAX_UID, NO_FOLLOW_DIR, RECORDS, Expired, Trouble, check_account, drop_lines, entries, is_account_name, limit_time, password_files_lock, raise_fence,
    read_fence, read_record, read_text, replace_file, run, set_shadow_fields, shadow_of, take_lock, tool, typed)
from orion_owners import write_owners
from orion_processes import kill_all
from orion_records import remove_records
from orion_rules import rules
from orion_survey import learn_owners, storage

CRONTABS = ('/var/spool/cron/crontabs', '/var/spool/cron', '/etc/crontabs')
AT_SPOOLS = ('/var/spool/cron/atjobs', '/var/spool/cron/atspool', '/var/spool/at', '/var/spool/at/spool')
MAIL_SPOOLS = ('/var/mail', '/var/spool/mail')
SWEEPS = 3
MNT_DETACH = 2


class Wipe:
    def __init__(self):
        self.accounts, self.troubles, self.troubled = {}, [], set()
        self.done = {'killed': 0, 'files_removed': 0, 'ipc_removed': 0, 'queues_removed': 0, 'keys_removed': 0, 'cgroups_removed': 0,
                     'records_removed': 0, 'crontabs': 0, 'at_jobs': 0, 'mounts': 0,
                     'config_lines': 0, 'accounts_removed': []}
        self.files, self.never_made = [], {}

    def attempt(self, what, action, name=None):
        """Runs one step; its trouble is noted, and only the end of time stops the rest."""
        try:
            return action()
        except Expired:
            raise
        except Exception as error:  # whatever it is: it must not keep the other steps from being done
            self.troubles.append('%s: %s' % (what, error if isinstance(error, Trouble) else repr(error)))
            self.troubled.update([name] if name else self.accounts)
            return None

    def count(self, key, number):
        self.done[key] += number or 0

    # -- whom ------------------------------------------------------------------------------------------------------------------

    def find_accounts(self, asked):
        """{(name, uid)}: what was asked for, and what calls itself Orion's in passwd or in a record."""
        wanted = [(str(account['username']), int(account['uid'])) for account in asked if not self._was_never_made(account)]
        wanted += [(fields[0], int(fields[2])) for fields in entries('/etc/passwd') if is_account_name(fields[0])]
        for file in os.listdir(RECORDS):
            name = file[:-len('.json')]
            if file.endswith('.json') and is_account_name(name) and isinstance(read_record(name).get('uid'), int):
                wanted.append((name, read_record(name)['uid']))
        for name, uid in wanted:
            self.attempt('account %s' % name, lambda name=name, uid=uid: self._accept(name, uid), name)

    def _was_never_made(self, account):
        """Of one that nobody is sure of, nothing is here: no entry, no record. Its number may be somebody else's then; the fence alone rises over it."""
        if not account.get('unsure'):
            return False
        name, uid = str(account['username']), int(account['uid'])
        check_account(name, uid)
        if read_record(name) or any(fields[0] == name for fields in entries('/etc/passwd') + entries('/etc/group')):
            return False
        self.never_made[name] = uid
        return True

    def _accept(self, name, uid):
        check_account(name, uid)
        for fields in entries('/etc/passwd') + entries('/etc/group'):
            if fields[2] == str(uid) and not is_account_name(fields[0]):
                raise Trouble('%d belongs to %s here' % (uid, fields[0]))
        self.accounts.setdefault(name, set()).add(uid)

    @property
    def uids(self):
        return {uid for uids in self.accounts.values() for uid in uids}

    # -- logins ----------------------------------------------------------------------------------------------------------------

    def remove_keys(self):
        """All files: a wipe leaves no account."""
        for file in (os.listdir(KEYS) if os.path.isdir(KEYS) else []):
            remove_file('%s/%s' % (KEYS, file))

    def fence_login(self, name):
        """No new session from here on: neither by password nor by key."""
        if shadow_of(name) is not None:
            # Half an account, made where /etc/passwd cannot be written, makes usermod fail.
            if tool('usermod') and any(fields[0] == name for fields in entries('/etc/passwd')):
                run('usermod', '-L', '-e', '1', name)
            else:
                set_shadow_fields(name, {1: '!', 7: '1'})
        try:
            home = os.open('/home/' + name, NO_FOLLOW_DIR)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            os.rename('.ssh', '.orion-fenced', src_dir_fd=home, dst_dir_fd=home)
        except FileNotFoundError:
            pass
        except OSError:
            os.fchown(home, 0, 0)  # something of that name is in the way: take the whole home
            os.fchmod(home, 0o700)
        finally:
            os.close(home)

    # -- what starts again by itself -------------------------------------------------------------------------------------------

    def remove_schedules(self):
        for spool in CRONTABS:
            for name in self.accounts:
                self.count('crontabs', remove_file('%s/%s' % (spool, name)))
        for spool in AT_SPOOLS:
            for entry in (os.scandir(spool) if os.path.isdir(spool) else []):
                if entry.stat(follow_symlinks=False).st_uid in self.uids and not entry.is_dir(follow_symlinks=False):
                    self.count('at_jobs', remove_file(entry.path))

    def end_services(self):
        for name in self.accounts:
            remove_file('/var/lib/systemd/linger/' + name)
        if not os.path.isdir('/run/systemd/system'):
            return
        for uid in self.uids:
            for command in (('loginctl', 'terminate-user', str(uid)), ('systemctl', 'stop', 'user@%d.service' % uid)):
                try:
                    run(*command)
                except Trouble:
                    pass  # fails when there is no such session; what lives is killed by uid and looked for by the verification

    def detach_mounts(self):
        """The run-time directory, and file systems in user space: dead once their process is, and in the way of every walk."""
        libc = ctypes.CDLL(None, use_errno=True)
        for point, kind, options in mounts():
            if any((kind.startswith('fuse') and b'user_id=%d' % uid in options) or point == b'/run/user/%d' % uid for uid in self.uids):
                if libc.umount2(point, MNT_DETACH) != 0:
                    raise Trouble('umount %r: %s' % (point, os.strerror(ctypes.get_errno())))
                self.count('mounts', 1)

    # -- files -----------------------------------------------------------------------------------------------------------------

    def kill_and_sweep(self):
        """Sweeps until no process had to be killed after the sweep: one that came back may have written behind its back."""
        for _round in range(SWEEPS):
            sweep = Sweep(self.uids).run()
            self._homes(sweep)
            self.count('files_removed', sweep.removed)
            self.files = (self.files + sweep.names)[:50]
            if kill_all(self.uids) == 0:
                break
        else:
            raise Trouble('processes of the account keep coming back')
        write_owners(sweep.owners)
        if sweep.troubles:
            raise Trouble('files that stay: %s' % '; '.join(sweep.troubles[:10]))

    def _homes(self, sweep):
        """The homes as well when they belong to somebody else by now."""
        for name in self.accounts:
            for parent in ('/home',) + MAIL_SPOOLS + ('/run/user',):
                if sweep.layout.type_of(parent.encode()) in LOCAL and os.path.isdir(parent):
                    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                    names = [str(uid) for uid in self.accounts[name]] if parent == '/run/user' else [name]
                    for entry in names:
                        sweep.remove(descriptor, entry.encode(), parent.encode())
                    os.close(descriptor)

    # -- configuration and the account itself ----------------------------------------------------------------------------------

    def remove_traces(self, name):
        """Whatever names the account. At a line's beginning or as a member; a comment that mentions it goes too."""
        word = re.compile(r'(?<![\w-])%s(?![\w-])' % re.escape(name))
        first = re.compile(r'%s:' % re.escape(name))
        for path in ('/etc/subuid', '/etc/subgid'):
            self.count('config_lines', drop_lines(path, first.match))
        self.count('config_lines', remove_file('/etc/security/limits.d/%s.conf' % name))
        self.count('config_lines', remove_file('/etc/sudoers.d/' + name))
        sudoers = ['/etc/sudoers'] + [entry.path for entry in (os.scandir('/etc/sudoers.d') if os.path.isdir('/etc/sudoers.d') else [])]
        for path in sudoers:
            if os.path.isfile(path) and not os.path.islink(path):
                self.count('config_lines', drop_lines(path, word.search))

    def remove_account(self, name):
        if any(fields[0] == name for fields in entries('/etc/passwd')):
            try:
                run(*(['userdel', name] if tool('userdel') else ['deluser', name]))
            except Trouble:
                pass  # half an account makes the tools stumble; what they leave is removed below
            self.done['accounts_removed'].append(name)
        with password_files_lock():
            first = re.compile(r'%s:' % re.escape(name))
            for path in ('/etc/passwd', '/etc/shadow', '/etc/group', '/etc/gshadow'):
                drop_lines(path, first.match)
                # userdel keeps a backup beside each file, with the password's hash in it
                if os.path.exists(path + '-'):
                    drop_lines(path + '-', first.match)
            for path in ('/etc/group', '/etc/group-', '/etc/gshadow', '/etc/gshadow-'):
                self.count('config_lines', leave_groups(path, name))

    def run(self):
        self.attempt('keys', self.remove_keys)
        for name in self.accounts:
            self.attempt('login of ' + name, lambda name=name: self.fence_login(name), name)
        self.attempt('schedules', self.remove_schedules)
        self.attempt('services', self.end_services)
        self.count('killed', self.attempt('processes', lambda: kill_all(self.uids)))
        self.attempt('schedules', self.remove_schedules)  # once more: the tenant lived until just now
        self.count('keys_removed', self.attempt('keys', lambda: invalidate_keys(self.uids)))
        self.attempt('mounts', self.detach_mounts)
        self.attempt('files', self.kill_and_sweep)
        self.count('cgroups_removed', self.attempt('control groups', lambda: remove_cgroups(self.uids)))
        self.count('ipc_removed', self.attempt('System V IPC', lambda: remove_sysv(self.uids)))
        self.count('queues_removed', self.attempt('message queues', lambda: remove_queues(self.uids)))
        self.count('records_removed', self.attempt('records of logins', lambda: remove_records(self.accounts)))
        for name in self.accounts:
            self.attempt('traces of ' + name, lambda name=name: self.remove_traces(name), name)
            self.attempt('account ' + name, lambda name=name: self.remove_account(name), name)
        self.attempt('keys', lambda: expect_no_keys(self.uids))
        for name in set(self.accounts) - self.troubled:
            self.attempt('record of ' + name, lambda name=name: forget(name), name)


def remove_file(path):
    """1 if something was there."""
    try:
        os.unlink(path)
        return 1
    except (FileNotFoundError, NotADirectoryError):
        return 0


def forget(name):
    """Orion's own record, and what a writer that was cut short left beside it."""
    for file in os.listdir(RECORDS):
        if name in re.findall(r'orn-[a-z0-9-]+', file):
            remove_file(os.path.join(RECORDS, file))


def leave_groups(path, name):
    """Takes the name out of the member lists (and gshadow's administrators); returns the number of lines changed."""
    text, changed = read_text(path), 0
    lines = text.split('\n')
    for number, line in enumerate(lines):
        fields = line.split(':')
        kept = [fields[0]] + [','.join(member for member in field.split(',') if member != name) for field in fields[1:]]
        if kept != fields:
            lines[number], changed = ':'.join(kept), changed + 1
    if changed:
        replace_file(path, '\n'.join(lines))
    return changed


def main(args):
    os.umask(0o077)
    wipe = Wipe()
    fence_moved, fence, unfinished = False, None, False
    try:
        params = typed(args, required={'accounts': list}, optional={'limit_seconds': (int, 100), 'newest_uid': (int, MAX_UID)})
        limit_time(params['limit_seconds'])
        take_lock()
        wipe.find_accounts(params['accounts'])
        newer = [uid for uid in wipe.uids if uid > params['newest_uid']]
        if newer:
            return {'failed': True, 'msg': 'uid %d came after this wipe was asked for' % max(newer), 'stale': True, 'newest_uid': max(newer)}
        if wipe.accounts:
            # It may fail on a full disk: then the wipe makes room, and fails, and comes again. The lock keeps late work out meanwhile.
            fence_moved = bool(wipe.attempt('fence', lambda: raise_fence(max(wipe.uids))))
            wipe.run()
        else:
            wipe.attempt('owners', learn_owners)
        if wipe.never_made:
            fence_moved = bool(wipe.attempt('fence', lambda: raise_fence(max(wipe.never_made.values())))) or fence_moved
        fence = read_fence()
    except (Trouble, Expired, OSError) as error:
        wipe.troubles.append(str(error))
        unfinished = isinstance(error, Expired) and Progress.entries > 0 and len(wipe.troubles) == 1
    changed = fence_moved or any(wipe.done.values())
    report = dict(wipe.done, **storage())
    report.update(never_made=sorted(wipe.never_made), changed=changed, fence=fence, files=wipe.files, accounts=sorted(wipe.accounts), unfinished=unfinished,
                  entries_removed=Progress.entries, login_rules=rules())
    if wipe.troubles:
        report.update(failed=True, msg='; '.join(wipe.troubles)[:4000], troubles=[text[:4000] for text in wipe.troubles[:50]])
    return report
