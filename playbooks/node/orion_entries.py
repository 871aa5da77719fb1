# -*- coding: utf-8 -*-
"""Writes an account's entries into the account files, as groupadd and useradd do, without a process for each: they take 5 ms."""
import os

from orion_node import KEYS_GROUP, Trouble, entries, password_files_lock, read_text, replace_file, tool

DAY = 86400
# As they are written, with their number of fields: an account is there once passwd names it, and by then it is whole.
FILES = (('group', 4), ('gshadow', 4), ('shadow', 9), ('passwd', 7))
ETC = '/etc/'


def lines_of(account, shadow, today):
    """{file: line}. `account` is (name, uid, home, shell), `shadow` (password, expiry in days)."""
    name, uid, home, shell = account
    ages = settings_of('login.defs')
    return {
        'group': '%s:x:%d:' % (name, uid),
        'gshadow': '%s:!::' % name,
        'shadow': ':'.join((name, shadow[0], str(today), ages.get('PASS_MIN_DAYS', ''), ages.get('PASS_MAX_DAYS', ''),
                            ages.get('PASS_WARN_AGE', ''), inactive(), shadow[1], '')),
        'passwd': '%s:x:%d:%d::%s:%s' % (name, uid, uid, home, shell),
    }


def add(lines):
    """Adds the lines that are not there yet, by their names, and the account to the group KEYS_GROUP; returns the files that changed. None, and nothing
    is done, where the files are not as plain as they are nearly everywhere, or somebody keeps a copy of them that the tools tell to forget: then the
    tools have to do it."""
    if tool('nscd') or tool('sss_cache'):
        return None
    with password_files_lock():
        known = {file: plain(file, fields) for file, fields in FILES if file != 'gshadow' or os.path.lexists(ETC + file)}
        if None in known.values():
            return None
        for file in ('group', 'passwd'):
            refuse_taken(file, lines[file])
        name = lines['passwd'].partition(':')[0]
        wanted = {file: text if has(text, lines[file]) else text + lines[file] + '\n' for file, text in known.items()}
        wanted['group'] = joined(wanted['group'], name, 'x:%d' % free_system_id(known['group']))
        if 'gshadow' in wanted:
            wanted['gshadow'] = joined(wanted['gshadow'], name, '!:')
        changed = [file for file in known if wanted[file] != known[file]]
        for file in changed:
            replace_file(ETC + file, wanted[file])
        return changed


def joined(text, name, middle):
    """`text`, with `name` among the members of KEYS_GROUP; `middle` is what stands between the name and the members where the group is new."""
    lines = text.split('\n')
    for at, line in enumerate(lines):
        if line.startswith(KEYS_GROUP + ':'):
            head, _, members = line.rpartition(':')
            if name not in members.split(','):
                lines[at] = '%s:%s' % (head, ','.join(filter(None, (members, name))))
            return '\n'.join(lines)
    return '%s%s:%s:%s\n' % (text, KEYS_GROUP, middle, name)


def free_system_id(groups):
    """The highest one, as groupadd -r chooses it."""
    taken = {line.split(':')[2] for line in groups.split('\n') if line}
    return next(number for number in range(999, 99, -1) if str(number) not in taken)


def plain(file, fields):
    """The text of a file, or None: a link, a line with another number of fields, with no name or of NIS, a last line without its end."""
    if os.path.islink(ETC + file):
        return None
    text = read_text(ETC + file)
    lines = text.split('\n')
    if lines.pop() == '' and lines and all(line.count(':') == fields - 1 and line[0] not in ':+-#' for line in lines):
        return text
    return None


def has(text, line):
    return ('\n' + text).find('\n' + line[:line.index(':') + 1]) >= 0


def refuse_taken(file, line):
    """Whoever made it did so since we looked."""
    name, _password, number = line.split(':')[:3]
    for fields in entries(ETC + file):
        if (fields[0] == name) != (fields[2] == number):
            raise Trouble('%s has the id %s here' % (fields[0], fields[2]))


def settings_of(file):
    """{name: value} of login.defs."""
    words = [line.split() for line in read_text(ETC + file).splitlines()]
    return {line[0]: line[1] for line in words if len(line) == 2 and line[1].isdigit()}


def inactive():
    for line in read_text(ETC + 'default/useradd').splitlines():
        name, _, value = line.partition('=')
        if name == 'INACTIVE' and value.isdigit():
            return value
    return ''
