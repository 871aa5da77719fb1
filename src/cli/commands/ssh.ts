import { runSsh } from '../openssh';
import { withProgress } from '../progress';
import { type CommandContext, type Session, withSession } from '../session';
import type { SshTarget } from '../ssh-target';
import { fetchLease, waitForAccess } from '../wait-for-access';
import type { Lease } from '../../contract';

export interface SshOptions {
  direct?: boolean;
}

const CONNECTION_FAILED = 255;

/**
 * Logs in to a lease: through the gateway where there is one, so that the session stays when the lease moves. Waits for the account if it is
 * being made, and without a gateway also if it is being moved. Resolves with the remote command's exit code.
 */
export async function ssh(context: CommandContext, { leaseId, command }: { leaseId: number; command: string[] }, { direct = false }: SshOptions): Promise<number> {
  return withSession(context, async (session) => {
    const lease = await fetchLease(session, leaseId);
    const target = readyTarget(lease, direct) ?? (await waitForTarget(session, lease, direct));
    const code = await runSsh(session, { leaseId, target }, command);
    if (code === CONNECTION_FAILED) {
      context.out.note('The connection failed or broke. If the machine died, the lease moves to another one by itself.');
      context.out.next(`orion show ${leaseId}`, `orion ssh ${leaseId}`);
    }
    return code;
  });
}

/** The gateway knows by itself what to do about a lease that moves. */
function readyTarget({ state, access, gateway }: Lease, direct: boolean): SshTarget | null {
  return gateway && !direct && state !== 'provisioning' ? gateway : access;
}

async function waitForTarget(session: Session, lease: Lease, direct: boolean): Promise<SshTarget> {
  const open = await withProgress(session, `waiting for lease ${lease.id}`, (progress) => waitForAccess(session, lease, progress));
  return readyTarget(open, direct) ?? open.access;
}
