#!/usr/bin/python3
# ProxyCommand of ssh(1) with ProxyUseFdpass: connects to the UNIX socket that is named and hands the connection over to ssh. The runner of the
# plays listens there, in the private folder of one play, and leads the way to a node that is reached through its tunnel.
import array
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [connection.fileno()]))
socket.socket(fileno=1).sendmsg([b'\0'], [rights])
