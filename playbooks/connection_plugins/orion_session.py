# -*- coding: utf-8 -*-
"""Hands commands to the control plane, which runs them over a connection to the node that it keeps: no ssh process, no key and no login
here. For plays in prefork workers (prefork/prefork_plays.py); a play by hand uses Ansible's own ssh."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = '''
name: orion_session
short_description: commands by way of the control plane
description: Asks the control plane over a socket that is open already.
options:
  socket:
    description: Descriptor of the socket.
    type: int
    vars:
      - name: orion_socket
'''

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils._text import to_bytes, to_text
from ansible.plugins.connection import ConnectionBase

from wire import Wire


class Connection(ConnectionBase):
    transport = 'orion_session'
    has_pipelining = True
    allow_executable = True

    def _connect(self):
        self._connected = True
        return self

    def exec_command(self, cmd, in_data=None, sudoable=True):
        wire = Wire(self.get_option('socket'))
        wire.say({'command': to_text(cmd), 'input': to_text(in_data or b'')})
        answer = wire.hear()
        if 'unreachable' in answer:
            raise AnsibleConnectionFailure(answer['unreachable'])
        return answer['code'], to_bytes(answer['stdout']), to_bytes(answer['stderr'])

    def put_file(self, in_path, out_path):
        raise AnsibleError('files are not transferred: a task is one command')

    def fetch_file(self, in_path, out_path):
        raise AnsibleError('files are not transferred: a task is one command')

    def close(self):
        self._connected = False
