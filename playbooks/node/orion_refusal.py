# -*- coding: utf-8 -*-
"""Says why this machine does not let an account in, as far as its configuration tells. Changes nothing. Its argument is described in explain_login.yml."""
import os
import re

from orion_node import Trouble, entries, is_account_name, limit_time, read_text, tool, typed
from orion_sshd import all_settings_of, config_of, find_listener, program_of

UNKNOWN = 'sshd does not say why; its log on the machine does (LogLevel VERBOSE)'


def matches(patterns, name):
    """As sshd matches users and groups: * and ?, a leading ! for what is left out, and of user@host the user."""
    found = False
    for pattern in patterns:
        negated, pattern = pattern.startswith('!'), pattern.lstrip('!').partition('@')[0]
        parts = [{'*': '.*', '?': '.'}.get(letter, re.escape(letter)) for letter in pattern]
        if re.fullmatch(''.join(parts), name):
            if negated:
                return False
            found = True
    return found


def causes(name):
    listener = find_listener()
    program = program_of(listener) if listener else tool('sshd')
    if program is None:
        return ['no sshd was found']
    config = config_of(listener)
    pairs = all_settings_of(program, config, name)
    known = {keyword: ' '.join(value for other, value in pairs if other == keyword) for keyword, _value in pairs}
    groups = [fields[0] for fields in entries('/etc/group') if name in fields[-1].split(',') or fields[0] == name]
    return list(filter(None, [
        'DenyUsers in %s names it' % config if matches(lists(known, 'denyusers'), name) else None,
        'AllowUsers in %s does not admit %s: add orn-*' % (config, name) if lists(known, 'allowusers') and not matches(lists(known, 'allowusers'), name) else None,
        'DenyGroups in %s names a group of it' % config if any(matches(lists(known, 'denygroups'), group) for group in groups) else None,
        'AllowGroups in %s names no group of it: add orion-keys' % config
        if lists(known, 'allowgroups') and not any(matches(lists(known, 'allowgroups'), group) for group in groups) else None,
        'PubkeyAuthentication is off in %s' % config if known.get('pubkeyauthentication') == 'no' else None,
        'AuthenticationMethods in %s asks for more than a key: %s' % (config, known['authenticationmethods'])
        if known.get('authenticationmethods', 'any') not in ('any', 'publickey') else None,
        'MaxSessions is 0 in %s' % config if known.get('maxsessions') == '0' else None,
        'ForceCommand in %s runs something else: %s' % (config, known['forcecommand']) if known.get('forcecommand', 'none') != 'none' else None,
        'ChrootDirectory is set in %s: %s' % (config, known['chrootdirectory']) if known.get('chrootdirectory', 'none') != 'none' else None,
        nologin(known),
        access(known),
    ]))


def lists(known, keyword):
    return known.get(keyword, '').split()


def nologin(_known):
    found = [path for path in ('/etc/nologin', '/run/nologin', '/var/run/nologin') if os.path.exists(path)]
    return '%s is there: nobody but root may log in' % found[0] if found else None


def access(known):
    """pam_access is what asks access.conf."""
    if known.get('usepam') != 'yes':
        return None
    pam = ''.join(read_text('/etc/pam.d/' + name) for name in ('sshd', 'common-account', 'password-auth', 'system-auth') if os.path.exists('/etc/pam.d/' + name))
    asked = [module for module in ('pam_access', 'pam_listfile', 'pam_time', 'pam_succeed_if', 'pam_sss', 'pam_ldap') if re.search(r'^[^#\n]*%s' % module, pam, re.MULTILINE)]
    return 'PAM may refuse it: %s in /etc/pam.d/sshd' % ', '.join(asked) if asked else None


def main(args):
    try:
        params = typed(args, required={'username': str}, optional={'limit_seconds': (int, 20)})
        limit_time(params['limit_seconds'])
        if not is_account_name(params['username']):
            raise Trouble('%r is not the name of an Orion account' % params['username'])
        found = causes(params['username'])
    except Exception as error:  # an explanation that fails is none, and no failure
        found = [str(error)]
    return {'changed': False, 'msg': '; '.join(found) or UNKNOWN}
