import type { SshTarget } from '../lab';
import type { Lease } from '../../src/contract';
import type { Tenant } from './tenant';

export { openTerminal, type Terminal } from '../lab';

/** Returns the SSH target of a lease through a gateway. */
export function throughGateway(
  { keyFile }: Pick<Tenant, 'keyFile'>,
  lease: Pick<Lease, 'id'>,
  { port, hostKey }: { port: number; hostKey: string },
): SshTarget {
  return { address: '127.0.0.1', port, user: `lease-${lease.id}`, hostKey, keyFile };
}
