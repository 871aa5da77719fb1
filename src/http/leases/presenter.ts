import type { LeaseView } from '../../flows/view-lease';
import { fingerprintOf } from '../../lib/host-key';
import type { RecordedEvent } from '../../modules/audit';
import type { Placement } from '../../modules/leases';
import type { Node } from '../../modules/nodes';

const time = (at: Date | null): string | null => at?.toISOString() ?? null;

function presentAccess(node: Node, username: string): Record<string, unknown> {
  const { address: host, sshPort: port, hostKey } = node;
  const name = port === 22 ? host : `[${host}]:${port}`;
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

export function presentLease({ lease, placement, node }: LeaseView): Record<string, unknown> {
  const { cpus, memoryMb, labels } = lease.requirements;
  const usable = placement?.state === 'present' && lease.state !== 'provisioning' && node !== null && node.status !== 'dead';
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
    node: node && { id: node.id, hostname: node.hostname, status: node.status },
    access: usable ? presentAccess(node, placement.username) : null,
  };
}

export function presentLeaseDetail(view: LeaseView, events: RecordedEvent[], placements: Placement[]): Record<string, unknown> {
  return {
    ...presentLease(view),
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
