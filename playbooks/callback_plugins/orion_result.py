# -*- coding: utf-8 -*-
"""Prints one JSON line for each task's result on a host: {"event", "host", "task", "result"}. Orion's runner reads these, no prose."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = '''
name: orion_result
type: stdout
short_description: one machine-readable line for each result
description: One line of JSON for each task's result on a host, marked with ORION_RESULT.
'''

import json
import sys

from ansible.plugins.callback import CallbackBase

MARK = 'ORION_RESULT '
# `invocation` repeats the variables; the others are stdout and stderr a second time.
LEFT_OUT = frozenset(('invocation', 'stdout_lines', 'stderr_lines'))


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'stdout'
    CALLBACK_NAME = 'orion_result'

    def _say(self, event, result):
        kept = {name: value for name, value in result._result.items() if name not in LEFT_OUT and not name.startswith('_ansible')}
        line = {'event': event, 'host': result._host.get_name(), 'task': result._task.get_name(), 'result': kept}
        sys.stdout.write(MARK + json.dumps(line, default=str) + '\n')
        sys.stdout.flush()

    def v2_runner_on_ok(self, result):
        self._say('ok', result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._say('failed', result)

    def v2_runner_on_unreachable(self, result):
        self._say('unreachable', result)
