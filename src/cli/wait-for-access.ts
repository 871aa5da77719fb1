import { CliError } from './errors';
import { EXIT } from './exit-codes';
import { describeLease, isRunning, reasonForNoAccess } from './lease-view';
import type { Progress } from './progress';
import type { Session } from './session';
import type { Access, Lease, LeaseDetail } from '../contract';

const POLL_MS = 1000;

/** A lease that has an account to log in to. */
export type OpenLease = Lease & { access: Access };

/** Polls every second until the lease has an account, however long its provisioning or move takes. Throws if the lease is over. */
export async function waitForAccess(session: Session, lease: Lease, progress: Progress): Promise<OpenLease> {
  for (let current = lease; ; current = await fetchLease(session, lease.id)) {
    if (current.access) {
      return { ...current, access: current.access };
    }
    if (!isRunning(current)) {
      throw new CliError(`The lease is over: ${describeLease(current)}.`, { exitCode: EXIT.conflict, hint: 'Rent again with: orion rent' });
    }
    progress.step(`lease ${current.id}: ${reasonForNoAccess(current)}`);
    await session.io.clock.sleep(POLL_MS);
  }
}

export async function fetchLease({ api }: Session, id: number): Promise<LeaseDetail> {
  return (await api.call((orion) => orion['/api/leases/{id}'].GET({ params: { path: { id } } }))).data;
}
