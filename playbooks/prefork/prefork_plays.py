# -*- coding: utf-8 -*-
"""Plays without Ansible's start: one process loads Ansible once and rehearses each playbook, and every play runs in a fork of it that was
made ahead, waits for its play, runs it and ends. So nothing of a play is there for the next, whatever it did.

    prefork_plays.py <socket> <forks> <megabytes>

The socket is a name in the folder in which this is started. The last line that is written to standard error is why it ended.

A fork connects to the socket, says {"pid"} and hears its play: {"playbook", "vars"}. It says {"command", "input"} for each command that the
node is to run and hears what came of it, and says at last {"event", "result"}, as callback_plugins/orion_result.py does.
"""
import gc
import os
import resource
import socket
import sys

from player import Player, rehearse
from wire import Wire

HERE = os.path.dirname(os.path.abspath(__file__))
NOT_STARTED = 3


def main(address, forks, megabytes):
    player = Player(os.path.dirname(HERE))
    rehearse(player)
    player.load()
    # What is here by now stays shared: a collection would touch, and so copy, all of it.
    gc.collect()
    gc.freeze()
    for _number in range(int(forks)):
        fork(player, address, int(megabytes))
    while True:
        _pid, status = os.wait()
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NOT_STARTED:
            sys.exit(1)  # the fork has said why
        fork(player, address, int(megabytes))


def fork(player, address, megabytes):
    if os.fork() > 0:
        return
    status = NOT_STARTED
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            play = next_play(connection, address)
            status = 1
            call_myself('orion-play')
            resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
            Wire(connection.fileno()).say(played(player, play, connection.fileno()))
            status = 0
    finally:
        os._exit(status)


def next_play(connection, address):
    try:
        connection.connect(address)
        wire = Wire(connection.fileno())
        wire.say({'pid': os.getpid()})
        return wire.hear()
    except Exception as error:
        sys.stderr.write('no play can be had from the control plane (%s in %s): %s\n' % (address, os.getcwd(), error))
        sys.stderr.flush()
        raise


def played(player, play, descriptor):
    """The player's own mistakes are told as a play that failed: a fork that just ends says nothing."""
    try:
        return player.run(play['playbook'], play['vars'], descriptor)
    except Exception as error:
        msg = ' '.join(('the play ended with %s: %s' % (type(error).__name__, error)).split())
        return {'event': 'failed', 'result': {'failed': True, 'msg': msg[:1000]}}


def call_myself(name):
    """For whoever lists processes."""
    with open('/proc/self/comm', 'w') as file:
        file.write(name)


if __name__ == '__main__':
    main(*sys.argv[1:])
