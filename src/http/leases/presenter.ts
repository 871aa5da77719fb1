import type * as contract from '../../contract';
import type { LeaseView } from '../../flows/leases/view-lease';
import { fingerprintOf } from '../../lib/host-key';
import type { RecordedEvent } from '../../modules/audit';
import { bytesOf, type Checkpoint } from '../../modules/checkpoints';
import { isRunning, type Placement } from '../../modules/leases';
import type { ReachableNode } from '../../modules/nodes';

/** Address and host keys of the gateway. Clients reach every lease through it, whatever node the lease is on. */
export interface GatewayAddress {
  host: string;
  port: number;
  /** Public host keys, `type base64` each. */
  hostKeys: string[];
  /** Accounts admit the gateway alone: clients get no other address. */
  only: boolean;
}

const time = (at: Date | null): string | null => at?.toISOString() ?? null;

const knownHostsName = (host: string, port: number): string => (port === 22 ? host : `[${host}]:${port}`);

function presentGateway({ host, port, hostKeys }: GatewayAddress, leaseId: number): contract.Gateway {
  const [hostKey = ''] = hostKeys;
  const username = `lease-${leaseId}`;
  return {
    host,
    port,
    username,
    host_key: hostKey,
    known_hosts: hostKeys.map((key) => `${knownHostsName(host, port)} ${key}`).join('\n'),
    command: `ssh -p ${port} ${username}@${host}`,
  };
}

function presentAccess(node: ReachableNode, username: string): contract.Access {
  const { address: host, sshPort: port, hostKey } = node;
  const name = knownHostsName(host, port);
  return {
    host,
    port,
    username,
    host_key: hostKey,
    host_key_fingerprint: fingerprintOf(hostKey),
    known_hosts: `${name} ${hostKey}`,
    command: `ssh -p ${port} ${username}@${host}`,
  };
}

const presentCheckpoint = ({ enabled, lastAt, ageSeconds, archives, error }: Checkpoint): contract.Checkpoint => ({
  enabled,
  last_at: time(lastAt),
  age_seconds: ageSeconds,
  bytes: bytesOf(archives),
  error,
});

const presentPlace = (node: LeaseView['node']): Pick<contract.Lease, 'node' | 'shared_storage'> => ({
  node: node && { id: node.id, hostname: node.hostname, status: node.status },
  shared_storage: node?.notExamined ?? null,
});

type Place = Omit<LeaseView, 'checkpoint'>;

const withFingerprint = (gateway: contract.Gateway): contract.Access => ({
  ...gateway,
  host_key_fingerprint: fingerprintOf(gateway.host_key),
});

/** Presents the login to the account on the node. Null: it is not there, or its node is dead. */
function presentDirect({ lease, placement, node }: Place): contract.Access | null {
  const usable = placement?.state === 'present' && lease.state !== 'provisioning' && node !== null && node.status !== 'dead';
  return usable ? presentAccess(node, placement.username) : null;
}

/** Presents how to log in to a lease. Where accounts admit the gateway alone, `access` is the login through it. */
function presentWays(place: Place, address: GatewayAddress | null): Pick<contract.Lease, 'access' | 'gateway'> {
  const gateway = address && isRunning(place.lease.state) ? presentGateway(address, place.lease.id) : null;
  const direct = presentDirect(place);
  return { access: address?.only ? direct && gateway && withFingerprint(gateway) : direct, gateway };
}

/** Presents a lease. `gateway` is null when there is no gateway. */
export function presentLease({ lease, placement, node, checkpoint }: LeaseView, gateway: GatewayAddress | null): contract.Lease {
  const { cpus, memoryMb, labels } = lease.requirements;
  return {
    id: lease.id,
    state: lease.state,
    client_id: lease.userId,
    created_at: lease.createdAt.toISOString(),
    ends_at: lease.endsAt.toISOString(),
    remaining_seconds: lease.remainingSeconds,
    generation: lease.generation,
    waiting_since: time(lease.waitingSince),
    ended_at: time(lease.endedAt),
    end_reason: lease.endReason,
    requirements: { cpus, memory_mb: memoryMb, labels },
    ...presentPlace(node),
    ...presentWays({ lease, placement, node }, gateway),
    checkpoint: checkpoint && presentCheckpoint(checkpoint),
  };
}

export interface LeaseHistory {
  events: RecordedEvent[];
  placements: Placement[];
}

export function presentLeaseDetail(
  view: LeaseView,
  gateway: GatewayAddress | null,
  { events, placements }: LeaseHistory,
): contract.LeaseDetail {
  return {
    ...presentLease(view, gateway),
    events: events.map(({ at, type, actor, data }) => ({ at: at.toISOString(), type, actor, data })),
    placements: placements.map((placement) => ({
      generation: placement.generation,
      node_id: placement.nodeId,
      state: placement.state,
      created_at: placement.createdAt.toISOString(),
      present_at: time(placement.presentAt),
      wiped_at: time(placement.wipedAt),
      last_error: placement.lastError,
    })),
  };
}
