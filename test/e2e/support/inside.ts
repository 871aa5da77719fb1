import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, type Worker, type WorkerFleet } from '../../lab';

/** What a root shell inside the worker answers; throws when the command fails. */
export async function inside(worker: Worker, command: string): Promise<string> {
  const { code, stdout, stderr } = await worker.exec(command);
  if (code !== 0) {
    throw new Error(`${command} on ${worker.name} ended with ${code ?? 'a signal'}: ${stderr}`);
  }
  return stdout.trim();
}

/** For `inside`: a power cut for the agent alone. The brackets keep it from finding the shell that runs it. */
export const KILL_AGENT = "pkill -KILL -f '[o]rion-agent.js'";

/** Names of tenants' accounts in the worker's own passwd. The account of a check of logins (`orn-check-*`) is no tenant's. */
export async function tenantAccounts(worker: Worker): Promise<string[]> {
  const names = await inside(worker, "grep -o '^orn-[^:]*' /etc/passwd || true");
  return names.split('\n').filter((name) => name !== '' && !name.startsWith('orn-check-'));
}

export async function untilNoAccount(worker: Worker, timeoutMs = 30_000): Promise<void> {
  await eventually(async () => (await tenantAccounts(worker)).length === 0, {
    what: `${worker.name} has no tenant's account`,
    timeoutMs,
    everyMs: 100,
  });
}

/** Everything on the worker that belongs to this uid or carries the mark: processes, files, jobs, IPC. Empty when nothing is left. */
export async function tracesOf(worker: Worker, { uid, username, mark }: { uid: number; username: string; mark: string }): Promise<string> {
  const looks = [
    `grep -l "^Uid:.*\\b${uid}\\b" /proc/[0-9]*/status 2>/dev/null`,
    `find / -xdev \\( -uid ${uid} -o -name '*${mark}*' \\) -not -path '/proc/*' 2>/dev/null`,
    `find /dev/shm /run /var /tmp /home -xdev \\( -uid ${uid} -o -name '*${mark}*' \\) 2>/dev/null`,
    `grep -H "${username}" /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid 2>/dev/null`,
    `ls -d /home/${username} /var/spool/cron/crontabs/${username} /var/mail/${username} 2>/dev/null`,
    `awk -v u=${uid} 'NR > 1 && ($8 == u || $10 == u)' /proc/sysvipc/shm`,
  ];
  return inside(worker, `{ ${looks.join('; ')}; } | sort -u`);
}

export function workerOf(fleet: WorkerFleet, lease: { node: { hostname: string } | null }): Worker {
  const found = fleet.workers.find(({ name }) => name === lease.node?.hostname);
  if (!found) {
    throw new Error(`no worker ${lease.node?.hostname ?? 'at all'}`);
  }
  return found;
}

export const agentLog = (worker: Worker): string => readFileSync(join(worker.logs, 'agent.log'), 'utf8');
