import type { Lease } from '../../src/contract';
import type { Fleet } from './world';

/** What a tenant leaves behind, as a shell command: files in four places, a background process, a cron job. */
export const PLANT = [
  'echo secret > ~/notes.txt',
  'echo secret > /tmp/left-behind',
  'mkdir -p /var/tmp/left-behind && echo secret > /var/tmp/left-behind/file',
  'echo secret > /dev/shm/left-behind',
  '(setsid sleep 86400 </dev/null >/dev/null 2>&1 &)',
  'echo "* * * * * touch /tmp/cron-was-here" | crontab -',
  'echo planted',
].join(' && ');

/** Whose tracks to look for on a machine. */
export interface Tenant {
  username: string;
  uid: string;
}

export async function tenantOf(fleet: Fleet, lease: Lease): Promise<Tenant> {
  const username = lease.access?.username ?? '';
  return { username, uid: await fleet.look(lease.node?.hostname ?? '', `id -u ${username}`) };
}

/** All that is left of a tenant on a machine, a line each; nothing when it is clean. Looked for from inside, as root. */
export async function findTracks(fleet: Fleet, hostname: string, { username, uid }: Tenant): Promise<string[]> {
  const found = await fleet.look(
    hostname,
    [
      `getent passwd ${username} | sed 's/^/account: /'`,
      `crontab -l -u ${username} 2>/dev/null | sed 's/^/cron job: /'`,
      `find / /tmp /var/tmp /dev/shm /run -xdev -uid ${uid} 2>/dev/null | sed 's/^/file: /'`,
      `ls -d /home/${username} /tmp/left-behind /var/tmp/left-behind /dev/shm/left-behind /var/spool/cron/crontabs/${username} 2>/dev/null | sed 's/^/path: /'`,
      `pgrep -a -U ${uid} | sed 's/^/process: /'`,
      'true',
    ].join('; '),
  );
  return found === '' ? [] : found.split('\n');
}
