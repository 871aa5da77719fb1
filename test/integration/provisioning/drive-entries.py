# Lets playbooks/node/orion_entries.py work on account files of a test's own: one JSON on standard input, {"node", "etc", "account", "shadow", "today"} and
# perhaps "die_at", how many files are replaced before it ends as by a power cut, or "hold", a line for passwd that somebody adds who has the lock.
import json
import os
import sys
import time

asked = json.load(sys.stdin)
sys.dont_write_bytecode = True
sys.path.insert(0, asked['node'])
import orion_entries  # noqa: E402
import orion_node  # noqa: E402

etc = orion_entries.ETC = asked['etc'] + '/'
orion_node.PASSWORD_LOCK = etc + '.pwd.lock'
orion_entries.tool = lambda name: None


def die_at(count):
    rename, renamed = os.rename, []

    def rename_or_die(*names):
        if len(renamed) == count:
            os._exit(9)
        renamed.append(names)
        rename(*names)
    os.rename = rename_or_die


def hold(line):
    """Another process takes the lock, and gives it back with its line in passwd once this one waits for it."""
    ours, theirs = os.pipe()
    waiter = os.getpid()
    if os.fork() > 0:
        os.read(ours, 1)
        return
    with orion_node.password_files_lock():
        os.write(theirs, b'.')
        deadline = time.monotonic() + 10
        while not any('->' in each and str(waiter) in each.split() for each in open('/proc/locks')):
            if time.monotonic() > deadline:
                os._exit(1)
            time.sleep(0.005)
        with open(etc + 'passwd', 'a') as file:
            file.write(line + '\n')
    os._exit(0)


if 'die_at' in asked:
    die_at(asked['die_at'])
if 'hold' in asked:
    hold(asked['hold'])
try:
    print(json.dumps({'added': orion_entries.add(orion_entries.lines_of(asked['account'], asked['shadow'], asked['today']))}))
except orion_node.Trouble as error:
    print(json.dumps({'trouble': str(error)}))
