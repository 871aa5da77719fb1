import { connect, type Socket } from 'node:net';
import { eventually, type Lab, type SshTarget, sshExec, type Worker } from '../../lab';

export async function rootOf(worker: Worker, command: string): Promise<string> {
  const { code, stdout, stderr } = await worker.exec(command);
  if (code !== 0) {
    throw new Error(`on ${worker.name}: ${command} ended with ${String(code)}: ${stderr.slice(-500)}`);
  }
  return stdout.trim();
}

/** Connections that never log in, opened anew whenever the worker drops one. */
export interface HalfOpen {
  /** How often one was opened. */
  opened(): number;
  end(): void;
}

const AGAIN_MS = 200;

/**
 * Holds `n` connections to the worker's sshd, which gets OpenSSH's own default of MaxStartups: from 10 on it drops some, from 100 on all.
 */
export async function holdHalfOpen(lab: Lab, worker: Worker, n: number): Promise<HalfOpen> {
  await rootOf(worker, `sed -i 's/^MaxStartups .*/MaxStartups 10:30:100/' /etc/ssh/sshd_config && kill -HUP "$(pgrep -o -x sshd)"`);
  const sockets = new Set<Socket>();
  let opened = 0;
  let ended = false;
  const open = (): void => {
    if (ended) {
      return;
    }
    opened += 1;
    const socket = connect({ host: worker.address, port: worker.port });
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
    socket.once('close', () => {
      sockets.delete(socket);
      setTimeout(open, AGAIN_MS);
    });
  };
  const end = (): void => {
    ended = true;
    sockets.forEach((socket) => socket.destroy());
  };
  lab.push('half-open connections', end);
  Array.from({ length: n }, open);
  await eventually(() => sockets.size >= n / 2, { what: 'the connections are held' });
  return { opened: () => opened, end };
}

const DISK = '24m';

/** Puts everything that is written on this worker onto one small disk: homes, temporary files, Orion's state, and the account files. */
export async function shrinkDisk(worker: Worker): Promise<void> {
  await rootOf(
    worker,
    `mkdir /srv/disk && mount -t tmpfs -o size=${DISK},nr_inodes=9000,mode=755 none /srv/disk || exit 1
     for dir in etc home tmp var/tmp var/lib/orion; do
       mkdir -p "/srv/disk/$dir" && cp -a "/$dir/." "/srv/disk/$dir/" && mount --bind "/srv/disk/$dir" "/$dir" || exit 1
     done`,
  );
}

/** As a tenant may: to the last byte and the last inode. Returns what `df` says then. */
export async function fillDisk(login: SshTarget): Promise<string> {
  const script = `cat /dev/zero > fill 2>/dev/null
i=0; while [ $i -lt 9000 ] && : > "/tmp/fill-$USER-$i" && echo x > "/tmp/fill-$USER-$i"; do i=$((i + 1)); done 2>/dev/null
df --output=avail,iavail "$HOME" | tail -n 1`;
  const { stdout, stderr, code } = await sshExec(login, 'sh -s', { input: script, timeoutMs: 60_000 });
  const free = stdout.trim();
  if (!/^0\s+\d+$/.test(free)) {
    throw new Error(`the disk is not full: ${free} (${String(code)}) ${stderr.slice(-300)}`);
  }
  return free;
}
