#!/usr/bin/python3
# ProxyCommand of ssh(1) with ProxyUseFdpass: connects to the UNIX socket that is named and hands the connection over to ssh. The runner of the
# plays listens there, in the private folder of one play, and leads the way to a node that is reached through its tunnel.
import array
import os
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
# The address of a socket holds 107 bytes, its whole path may be longer.
os.chdir(os.path.dirname(sys.argv[1]))
connection.connect(os.path.basename(sys.argv[1]))
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [connection.fileno()]))
socket.socket(fileno=1).sendmsg([b'\0'], [rights])
