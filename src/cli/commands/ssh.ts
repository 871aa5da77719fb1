import { usageError } from '../errors';
import { admitsGatewayAlone } from '../lease-view';
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
 * Logs in to a lease. With a gateway, the connection goes through it, so that the session stays when the lease moves.
 *
 * The command waits for the account while it is being made. Without a gateway it also waits while the lease is moved. Resolves with the
 * exit code of the remote command.
 */
export async function ssh(
  context: CommandContext,
  { leaseId, command }: { leaseId: number; command: string[] },
  { direct = false }: SshOptions,
): Promise<number> {
  return withSession(context, async (session) => {
    const lease = await fetchLease(session, leaseId);
    if (direct && admitsGatewayAlone(lease)) {
      throw usageError(
        'Machines here admit the gateway alone, so that nobody can log in to them directly.',
        `Leave --direct out: orion ssh ${leaseId}`,
      );
    }
    const target = readyTarget(lease, direct) ?? (await waitForTarget(session, lease, direct));
    const code = await runSsh(session, { leaseId, target }, command);
    if (code === CONNECTION_FAILED) {
      context.out.note('The connection failed or broke. If the machine died, the lease moves to another one by itself.');
      context.out.next(`orion show ${leaseId}`, `orion ssh ${leaseId}`);
    }
    return code;
  });
}

/** The target that can be used now, or null. The gateway itself handles a lease that moves, so it is used even during a move. */
function readyTarget({ state, access, gateway }: Lease, direct: boolean): SshTarget | null {
  return gateway && !direct && state !== 'provisioning' ? gateway : access;
}

async function waitForTarget(session: Session, lease: Lease, direct: boolean): Promise<SshTarget> {
  const open = await withProgress(session, `waiting for lease ${lease.id}`, (progress) => waitForAccess(session, lease, progress));
  return readyTarget(open, direct) ?? open.access;
}
