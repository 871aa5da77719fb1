/** Residue as a tenant makes it: each a shell command for the tenant's own session. */
export const TENANT_PLANTS: Record<string, string> = {
  'a job that ignores TERM and HUP': `nohup sh -c 'trap "" TERM HUP; while :; do sleep 60; done' >/dev/null 2>&1 &`,
  'a daemon that forked twice': `setsid sh -c 'setsid sleep 9999 >/dev/null 2>&1 &' >/dev/null 2>&1`,
  'a relay of forks': `cat > relay.py <<'END'
import os, time
os.setsid()
while True:
    if os.fork():
        os._exit(0)
    time.sleep(0.0005)
END
python3 relay.py </dev/null >/dev/null 2>&1 &`,
  'a process whose main thread has ended': `cat > headless.py <<'END'
import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(9999)).start()
ctypes.CDLL(None).pthread_exit(None)
END
nohup python3 headless.py >/dev/null 2>&1 &`,
  'a crontab': `echo '* * * * * sleep 50' | crontab -`,
  'an at job': `echo 'sleep 9999' | at now + 3 hours 2>/dev/null`,
  'files with newlines in their names': `for dir in /tmp /var/tmp /dev/shm; do touch "$dir/a
b $USER"; done`,
  'a directory deeper than PATH_MAX': `python3 - <<'END'
import os
os.chdir('/var/tmp')
os.mkdir('deep-%d' % os.getuid())
os.chdir('deep-%d' % os.getuid())
for _ in range(300):
    os.mkdir('d' * 100)
    os.chdir('d' * 100)
open('bottom', 'w').close()
END`,
  'a directory that nobody may enter': `mkdir -p /tmp/closed-$USER/in && touch /tmp/closed-$USER/in/x && chmod 0 /tmp/closed-$USER/in /tmp/closed-$USER`,
  'a setuid copy of a shell': `cp /bin/sh /var/tmp/sh-$USER && chmod 4755 /var/tmp/sh-$USER`,
  'a link to a file of the machine': `ln -s /etc/passwd /tmp/link-$USER; ln -s /etc /tmp/dirlink-$USER`,
  'System V IPC': `ipcmk -M 4096 >/dev/null; ipcmk -S 2 >/dev/null; ipcmk -Q >/dev/null`,
  'a POSIX message queue': `python3 - <<'END'
import ctypes, os
rt = ctypes.CDLL('librt.so.1', use_errno=True)
if rt.mq_open(b'/mq-%d' % os.getuid(), os.O_CREAT | os.O_RDWR, 0o600, None) < 0:
    raise OSError(ctypes.get_errno(), 'mq_open')
END`,
};
