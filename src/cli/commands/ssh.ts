import { runSsh } from '../openssh';
import { withProgress } from '../progress';
import { type CommandContext, withSession } from '../session';
import { fetchLease, waitForAccess } from '../wait-for-access';

const CONNECTION_FAILED = 255;

/** Logs in to a lease, waiting for its account if it is being made or moved. Resolves with the remote command's exit code. */
export async function ssh(context: CommandContext, leaseId: number, command: string[]): Promise<number> {
  return withSession(context, async (session) => {
    const lease = await fetchLease(session, leaseId);
    const open = lease.access ? { ...lease, access: lease.access } : await withProgress(context, `waiting for lease ${leaseId}`, (progress) => waitForAccess(session, lease, progress));
    const code = await runSsh(session, open, command);
    if (code === CONNECTION_FAILED) {
      context.out.note('The connection failed or broke. If the machine died, the lease moves to another one by itself.');
      context.out.next(`orion show ${leaseId}`, `orion ssh ${leaseId}`);
    }
    return code;
  });
}
