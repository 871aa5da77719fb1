# -*- coding: utf-8 -*-
"""Runs a playbook against one node within this process: what ansible-playbook does, without its start and without a process for each task."""
import inspect
import os
import socket

from ansible.executor.task_executor import TaskExecutor
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.playbook.play_context import PlayContext
from ansible.plugins import loader as plugins
from ansible.utils.unsafe_proxy import wrap_var
from ansible.vars.manager import VariableManager

from wire import Wire

PLAYBOOKS = ('create_user.yml', 'delete_user.yml', 'explain_login.yml', 'verify_clean.yml')
WANTED = frozenset(inspect.signature(TaskExecutor.__init__).parameters)  # they differ from version to version
LEFT_OUT = frozenset(('invocation', 'stdout_lines', 'stderr_lines'))
# Rendered as a template it would fail, or come out as something else.
CANARY = 'ssh-ed25519 AAAA {{ 1 / 0 }}'
REHEARSED = {'username': 'orn-rehearsal', 'uid': 1, 'lease_id': 1, 'generation': 1, 'public_keys': [CANARY], 'password_hash': None,
             'remaining_seconds': 1, 'limit_seconds': 1, 'accounts': [{'username': 'orn-rehearsal', 'uid': 1}]}


class Player:
    def __init__(self, directory):
        getattr(plugins, 'init_plugin_loader', lambda: None)()  # from ansible-core 2.15 on it is not done by the import
        plugins.add_all_plugin_dirs(directory)
        self.directory = directory
        self.load()

    def load(self):
        """Everything that a play changes, anew."""
        self.loader = DataLoader()
        self.loader.set_basedir(self.directory)
        self.inventory = InventoryManager(self.loader, sources='node,')
        self.variables = VariableManager(self.loader, self.inventory)
        self.tasks = {name: [self._prepare(play, task) for play in self._plays(name) for task in tasks_of(play)] for name in PLAYBOOKS}

    def run(self, playbook, values, descriptor):
        """Until the first task that fails; what the last one came to. `values` are never rendered as templates."""
        values = dict(wrap_var(values), ansible_connection='orion_session', orion_socket=descriptor)
        result = {'failed': True, 'msg': 'there is nothing to do in %s' % playbook}
        for offered in self.tasks[playbook]:
            result = execute(dict(offered, job_vars=dict(offered['job_vars'], **values)))
            if result.get('failed') or result.get('unreachable'):
                break
        return {'event': event_of(result), 'result': {name: value for name, value in result.items() if is_told(name)}}

    def _plays(self, playbook):
        return Playbook.load(os.path.join(self.directory, playbook), self.variables, self.loader).get_plays()

    def _prepare(self, play, task):
        """What Ansible's executor is given for a task, but for the variables of the one play."""
        host = self.inventory.get_host('node')
        known = self.variables.get_vars(play=play, host=host, task=task)
        return {'host': host, 'task': task, 'job_vars': known, 'play_context': PlayContext(play),
                'new_stdin': None, 'loader': self.loader, 'shared_loader_obj': plugins, 'final_q': None, 'variable_manager': self.variables}


def execute(offered):
    return TaskExecutor(**{name: value for name, value in offered.items() if name in WANTED}).run()


def tasks_of(play):
    return [task for block in play.compile() for task in block.block if task.action not in ('meta', 'ansible.builtin.meta')]


def event_of(result):
    return 'unreachable' if result.get('unreachable') else 'failed' if result.get('failed') else 'ok'


def is_told(name):
    return name not in LEFT_OUT and not name.startswith('_ansible')


def rehearse(player):
    """Runs each playbook once with a node that says yes: loads what is loaded late, and shows that this Ansible is one that the player knows."""
    for playbook in PLAYBOOKS:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            Wire(theirs.fileno()).say({'code': 0, 'stdout': '{"changed": false}', 'stderr': ''})
            said = player.run(playbook, REHEARSED, ours.fileno())
            if said['event'] != 'ok':
                raise RuntimeError('%s cannot be played: %s' % (playbook, said['result'].get('msg')))
            heard = Wire(theirs.fileno()).hear()
            if playbook == 'create_user.yml' and CANARY not in heard['input']:
                raise RuntimeError('this Ansible renders what it must not: %s' % heard['input'])
