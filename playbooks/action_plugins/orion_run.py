# -*- coding: utf-8 -*-
"""Runs a program of playbooks/node on the node and reports its answer, in one round trip: what Ansible's own way with modules costs on the
node (unpacking them, loading its libraries there) is 0.25 s. Arguments go by stdin, never on a command line.

    program     file in playbooks/node
    variables   names of the play's variables that are its arguments: as they are, never rendered as templates; those that are not set are left out
"""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import functools
import hashlib
import json
import os
import re

from ansible.plugins.action import ActionBase

NODE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'node')
NEEDED = re.compile(r'^from (orion_\w+) import', re.MULTILINE)
# Isolated, without site packages: whatever a node has installed is not asked.
PYTHON = 'python3 -I -S -'
# The members that an answer may have.
AGREED = {
    bool: ('changed', 'failed', 'stale', 'taken', 'unfinished'),
    int: ('uid', 'next_free', 'ends_at', 'fence', 'newest_uid', 'killed', 'files_removed', 'entries_removed', 'ipc_removed', 'queues_removed', 'keys_removed', 'cgroups_removed',
          'records_removed', 'crontabs', 'at_jobs', 'mounts', 'config_lines'),
    str: ('msg', 'username', 'login_rules', 'home_storage'),
    list: ('actions', 'files', 'accounts', 'accounts_removed', 'never_made', 'not_examined', 'troubles'),
}
MAX_TEXT, MAX_ITEMS, MAX_NUMBER = 8192, 1000, 1 << 53


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        report = super(ActionModule, self).run(tmp, task_vars)
        args = {name: task_vars[name] for name in self._task.args['variables'] if name in task_vars}
        text = payload(self._task.args['program'], args)
        command = ' '.join(filter(None, [self._compute_environment_string(), PYTHON]))
        # executable=False: no shell within the shell
        done = self._low_level_execute_command(command, in_data=text, executable=False)
        report.update(answer_of(done))
        return report


def payload(program, args):
    """One Python source, in ASCII."""
    return ('ARGS = %s\n%s' % (ascii(plain(args)), source_of(program))).encode('ascii')


@functools.lru_cache(maxsize=None)
def source_of(program):
    sources = ascii(with_needs(program, []))
    digest = hashlib.sha256(sources.encode('ascii')).hexdigest()
    return 'PROGRAM = %r\nDIGEST = %r\nSOURCES = %s\n%s' % (program, digest, sources, read('start'))


def with_needs(name, before):
    """`before`, then what `name` needs and is not there yet, then `name`: (name, source) each."""
    source = read(name)
    for need in NEEDED.findall(source):
        if need not in [known for known, _source in before]:
            before = with_needs(need, before)
    return before + [(name, source)]


def read(name):
    with open(os.path.join(NODE, name + '.py'), encoding='utf-8') as file:
        return file.read()


def plain(value):
    """Of Python's own types: Ansible marks texts that it must not render by types of its own."""
    return json.loads(json.dumps(value))


def answer_of(done):
    try:
        answer = json.loads(done['stdout'].strip().rpartition('\n')[2])
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return {'failed': True, 'msg': 'the program ended (%s) without an answer' % done['rc'],
                'module_stdout': last_line(done['stdout']), 'module_stderr': last_line(done['stderr'])}
    wrong = sorted(name for name, value in answer.items() if not is_agreed(name, value))
    if wrong:
        return {'failed': True, 'msg': 'the answer of the program is not as agreed: %.500s' % ', '.join(map(ascii, wrong))}
    return answer


def last_line(text):
    """Of a traceback it says what went wrong."""
    return text.strip().rpartition('\n')[2][-500:]


def is_agreed(name, value):
    """A node is not trusted: of what it says nothing reaches Ansible that could mean something there (ansible_facts, invocation), or is larger than it may be."""
    kind = next((kind for kind, names in AGREED.items() if name in names), None)
    if kind is list:
        return type(value) is list and len(value) <= MAX_ITEMS and all(type(item) is str and len(item) <= MAX_TEXT for item in value)
    if kind is int:
        return value is None or (type(value) is int and abs(value) <= MAX_NUMBER)
    return type(value) is kind and (kind is bool or len(value) <= MAX_TEXT)
