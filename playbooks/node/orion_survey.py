# -*- coding: utf-8 -*-
"""What a wipe would have to do with on this machine, and what it never looks at."""
from orion_files import Sweep
from orion_mounts import LOCAL, Layout
from orion_node import Expired, Trouble
from orion_owners import are_fresh, write_owners


def learn_owners():
    """Walks the file systems of a machine without accounts, which no wipe walks: whose files are there has to be known before its first account. Nothing is done
    while the last walk is fresh, since a machine is verified whenever its agent starts."""
    if are_fresh():
        return
    sweep = Sweep(())
    try:
        sweep.run()
    except Expired as error:
        raise Expired('%s: its file systems hold more files than a wipe can look at in that time' % error)
    if sweep.troubles:
        raise Trouble('file systems that cannot be walked: %s' % '; '.join(sweep.troubles[:10]))
    write_owners(sweep.owners)


def storage():
    """`not_examined`: what no wipe walks. `home_storage`: the type of the file system that holds the homes, where a wipe cannot walk it."""
    layout = Layout()
    home = layout.type_of(b'/home')
    return dict({'not_examined': layout.not_examined()[:50]}, **({} if home in LOCAL else {'home_storage': home}))
