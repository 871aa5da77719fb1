# -*- coding: utf-8 -*-
"""Makes one Orion account present, with its keys, its end and its limits.

Idempotent. Refuses with stale=true a uid that the node's fence has passed, with taken=true and next_free one that is somebody else's (orion_uids), and any name that
belongs to something else. Its
arguments are described in create_user.yml.
"""
import os
import stat

from orion_entries import add, lines_of
from orion_keys import expiry_time, is_public_key, keys_in, make_keys_folder
from orion_node import (
    is_account_name, KEYS, KEYS_GROUP, NO_FOLLOW_DIR, Expired, Trouble, check_account, entries, limit_time, now, read_fence, read_record, read_text, record_path, run,
    set_shadow_fields, shadow_of, take_lock, told, tool, typed, write_file)
from orion_processes import thaw_all
from orion_rules import rules
from orion_sessions import end_sessions
from orion_skeleton import Copy
from orion_sshd import sshd_version
from orion_uids import Taken, refuse_taken

CHECK = 'orn-check-'  # accounts of checks of logins (src/flows/placements/wipe-node.ts)
GRACE_SECONDS = 60
SAME_END_SECONDS = 5
DAY = 86400
HELD_EXPIRY = '1'  # set by an agent that holds or ended the account (src/agent/hold-account.ts)
LIMITS_DIR = '/etc/security/limits.d'
NO_PASSWORD = '*'  # not '!': without PAM sshd takes '!' for a locked account and refuses its keys too


class Account:
    def __init__(self, params):
        self.name, self.uid = params['username'], params['uid']
        self.home = '/home/' + self.name
        self.shell = '/bin/bash' if os.path.exists('/bin/bash') else '/bin/sh'
        self.params = params
        self.actions = []
        self.old_record = read_record(self.name)
        self.was_held = self.old_record.get('held', False)
        ends_at = now() + params['remaining_seconds']
        known = self.old_record.get('ends_at')
        self.ends_at = known if isinstance(known, int) and abs(known - ends_at) < SAME_END_SECONDS else ends_at
        # An account expires when the day begins: two days later leaves at least one whole day, whatever the time of day and zone.
        self.shadow = [params['password_hash'] or NO_PASSWORD, str(self.ends_at // DAY + 2)]

    def did(self, what):
        self.actions.append(what)

    # -- refusing ----------------------------------------------------------------------------------------------------------

    def refuse_foreign(self):
        """Nothing that is not this very placement's is ever adopted, and a new account gets no number that is anybody else's."""
        for key in ('uid', 'lease_id', 'generation'):
            if self.old_record.get(key, self.params[key]) != self.params[key]:
                raise Trouble('%s is recorded here with another %s' % (self.name, key))
        if self.is_new():
            refuse_taken(self.name, self.uid)
        for fields in entries('/etc/passwd'):
            self._refuse_halves(fields[0], fields[2], 'user')
        for fields in entries('/etc/group'):
            self._refuse_halves(fields[0], fields[2], 'group')

    def is_new(self):
        """Once its entry is there, what the number owns is the account's."""
        return not any(fields[0] == self.name and fields[2] == str(self.uid) for fields in entries('/etc/passwd'))

    def _refuse_halves(self, name, number, kind):
        if (name == self.name) != (number == str(self.uid)):
            raise Trouble('the %s %s has the id %s here: it is not the account %s with %d' % (kind, name, number, self.name, self.uid))

    # -- making ------------------------------------------------------------------------------------------------------------

    def make_entries(self):
        added = add(lines_of((self.name, self.uid, self.home, self.shell), self.shadow, now() // DAY))
        if added is None:
            self.make_group()
            self.make_user()
            self.join_group()
        else:
            self.actions += [{'passwd': 'user'}.get(file, file) for file in added]

    def make_group(self):
        if any(fields[0] == self.name for fields in entries('/etc/group')):
            return
        run(*(['groupadd', '-g', str(self.uid), self.name] if tool('groupadd') else ['addgroup', '-g', str(self.uid), self.name]))
        self.did('group')

    def make_user(self):
        if any(fields[0] == self.name for fields in entries('/etc/passwd')):
            return
        uid = str(self.uid)
        if tool('useradd'):
            # No subordinate ids: files owned by those would escape a wipe that looks for the uid. -l: no huge sparse lastlog.
            run('useradd', '-l', '-M', '-N', '-K', 'SUB_UID_COUNT=0', '-K', 'SUB_GID_COUNT=0', '-u', uid, '-g', uid,
                '-d', self.home, '-s', self.shell, self.name)
        else:
            run('adduser', '-D', '-H', '-h', self.home, '-s', self.shell, '-u', uid, '-G', self.name, self.name)
        self.did('user')

    def join_group(self):
        group = next((fields for fields in entries('/etc/group') if fields[0] == KEYS_GROUP), None)
        if group is None:
            run(*(['groupadd', '-r', KEYS_GROUP] if tool('groupadd') else ['addgroup', '-S', KEYS_GROUP]))
        if group is None or self.name not in group[-1].split(','):
            run(*(['gpasswd', '-a', self.name, KEYS_GROUP] if tool('gpasswd') else ['addgroup', self.name, KEYS_GROUP]))
            self.did('joined group')

    def drop_groups(self):
        for fields in entries('/etc/group'):
            if fields[0] not in (self.name, KEYS_GROUP) and self.name in fields[-1].split(','):
                run(*(['gpasswd', '-d', self.name, fields[0]] if tool('gpasswd') else ['delgroup', self.name, fields[0]]))
                self.did('left group ' + fields[0])

    def set_shadow(self):
        wanted, known = self.shadow, shadow_of(self.name)
        if known is None:
            raise Trouble('%s has no shadow entry' % self.name)
        self.was_held = self.was_held or known[1] == HELD_EXPIRY
        if known != wanted:
            set_shadow_fields(self.name, {1: wanted[0], 7: wanted[1]})
            if shadow_of(self.name) != wanted:
                raise Trouble('the shadow entry of %s did not take' % self.name)
        for what, before, after in zip(('password', 'expiry'), known, wanted):
            if before != after:
                self.did(what)

    def make_home(self):
        try:
            os.mkdir(self.home, 0o700)
            self.did('home')
        except FileExistsError:
            pass
        home = os.open(self.home, NO_FOLLOW_DIR)
        try:
            known = os.fstat(home)
            if known.st_uid not in (0, self.uid):
                raise Trouble('%s belongs to uid %d' % (self.home, known.st_uid))
            if known.st_uid == 0:  # new, or left by a run that was cut short
                self._fill_from_skeleton(home)
                os.fchown(home, self.uid, self.uid)
            if stat.S_IMODE(known.st_mode) != 0o700:
                os.fchmod(home, 0o700)
                self.did('home mode')
        finally:
            os.close(home)

    def _fill_from_skeleton(self, home):
        """And a folder for the tenant's own SSH files. The home is still root's here, so nobody can have put a trap into it."""
        Copy(self.home, self.uid).run(home)
        if not os.path.isdir(self.home + '/.ssh'):
            os.mkdir('.ssh', 0o700, dir_fd=home)
        os.chown('.ssh', self.uid, self.uid, dir_fd=home)

    # -- keys --------------------------------------------------------------------------------------------------------------

    def write_access(self):
        """An account that loses a key or its password loses its sessions too. The marker comes first: after a crash the next run ends them."""
        version = sshd_version(self.name)
        make_keys_folder()
        path, lost = '%s/%s' % (KEYS, self.name), '%s/%s.lost' % (KEYS, self.name)
        known, wanted = read_text(path), self.key_lines(version)
        if keys_in(known) - keys_in(wanted) or self.loses_password():
            write_file(lost, '', 0o600)
        if known != wanted or not os.path.exists(path):
            write_file(path, wanted, 0o640, (0, self.uid))
            self.did('keys')
        self.set_shadow()
        if os.path.exists(lost):
            end_sessions(self.name, self.uid)
            os.unlink(lost)
            self.did('sessions ended')

    def loses_password(self):
        return self.shadow[0] == NO_PASSWORD and (shadow_of(self.name) or self.shadow)[0].startswith('$')

    def key_lines(self, version):
        options = 'restrict,pty,port-forwarding,expiry-time="%s"' % expiry_time(self.ends_at + GRACE_SECONDS, version)
        lines = ['%s %s' % (options, key.strip()) for key in self.params['public_keys']]
        if self.params['check_key']:
            # The control plane's, to see that a tenant can log in.
            lines.append('restrict,%s %s' % (options.rpartition(',')[2], self.params['check_key'].strip()))
        return ''.join(line + '\n' for line in lines)

    def thaw(self):
        """An agent that could not reach us has held the account; this order says that it is wanted after all."""
        if self.was_held and thaw_all({self.uid}):
            self.did('thawed')

    # -- limits and record ---------------------------------------------------------------------------------------------------

    def write_limits(self):
        if not os.path.isdir(LIMITS_DIR):
            return
        values = (('nproc', self.params['max_processes']), ('nofile', self.params['max_open_files']), ('core', 0))
        text = ''.join('%s hard %s %d\n' % (self.name, item, value) for item, value in values)
        path = '%s/%s.conf' % (LIMITS_DIR, self.name)
        if read_text(path) != text:
            write_file(path, text, 0o644)
            self.did('limits')

    def write_record(self):
        """First of all: an account without its record would be hidden from whoever cleans by records."""
        record = {'username': self.name, 'uid': self.uid, 'ends_at': self.ends_at,
                  'lease_id': self.params['lease_id'], 'generation': self.params['generation']}
        if record != self.old_record:
            write_file(record_path(self.name), told(record) + '\n', 0o600)
            self.did('record')


def check(params):
    check_account(params['username'], params['uid'])
    for key in params['public_keys'] + ([params['check_key']] if params['check_key'] else []):
        if not is_public_key(key.strip()):
            raise Trouble('not an OpenSSH public key: %.40r' % key)
    if any(letter == ':' or letter.isspace() for letter in params['password_hash'] or ''):
        raise Trouble('not a password hash')
    if params['remaining_seconds'] <= 0:
        raise Trouble('the lease is over')


def is_in_the_way(name, own):
    """Another tenant's account; for a check of logins any other account. A late check must meet no tenant. A tenant may meet a check's account, which has no tenant."""
    return is_account_name(name) and name != own and (own.startswith(CHECK) or not name.startswith(CHECK))


def main(args):
    os.umask(0o077)
    try:
        params = typed(args, required={'username': str, 'uid': int, 'lease_id': int, 'generation': int, 'public_keys': list, 'remaining_seconds': int},
                       optional={'password_hash': (str, None), 'check_key': (str, None), 'alone': (int, 0), 'limit_seconds': (int, 40), 'max_processes': (int, 1024), 'max_open_files': (int, 8192)})
        check(params)
        limit_time(params['limit_seconds'])
        take_lock()
        fence = read_fence()
        if params['uid'] <= fence:
            return {'failed': True, 'msg': 'uid %d is stale: accounts up to %d were wiped here' % (params['uid'], fence), 'stale': True, 'fence': fence}
        if params['alone'] and any(is_in_the_way(fields[0], params['username']) for fields in entries('/etc/passwd')):
            # Without the fence: another uid would not do either.
            return {'failed': True, 'msg': 'another account of Orion is here: this one was asked for too late', 'stale': True}
        account = Account(params)
        account.refuse_foreign()
        for step in (account.write_record, account.make_entries, account.drop_groups, account.make_home,
                     account.write_access, account.thaw, account.write_limits):
            step()
    except Taken as error:
        return {'failed': True, 'msg': str(error), 'stale': False, 'taken': True, 'next_free': error.next_free}
    except (Trouble, Expired, OSError) as error:
        return {'failed': True, 'msg': str(error), 'stale': False}
    return {'changed': bool(account.actions), 'username': account.name, 'uid': account.uid, 'ends_at': account.ends_at, 'actions': account.actions,
            'login_rules': rules()}
