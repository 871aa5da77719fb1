# -*- coding: utf-8 -*-
"""One JSON text a line, both ways, over a socket."""
import json
import os


class Wire:
    def __init__(self, descriptor):
        self.descriptor = descriptor

    def say(self, message):
        text = memoryview((json.dumps(message, default=str) + '\n').encode('ascii'))
        while text:
            text = text[os.write(self.descriptor, text):]

    def hear(self):
        """The next message, one at a time: the other side says nothing more before it is answered. EOFError when it is gone."""
        pieces = []
        while not pieces or not pieces[-1].endswith(b'\n'):
            pieces.append(os.read(self.descriptor, 1 << 16))
            if not pieces[-1]:
                raise EOFError('the control plane is gone')
        return json.loads(b''.join(pieces))
