import type * as contract from '../../contract';
import { fingerprintOf } from '../../lib/host-key';
import { formatUidRange } from '../../lib/uid-range';
import { type Node, type Pairing, SHORT, shortageOf } from '../../modules/nodes';

const time = (at: Date | null): string | null => at?.toISOString() ?? null;

/** Presents a node that is free or the client's own, as any client may see it. `mine`: the lease on the node is the client's. */
export function presentNode(node: Node, mine: boolean): contract.Node {
  return {
    id: node.id,
    hostname: node.hostname,
    status: node.status,
    cpus: node.cpus,
    memory_mb: node.memoryMb,
    labels: node.labels,
    free: node.leasable,
    lease_id: mine ? node.leaseId : null,
  };
}

const USE = ['idle', 'busy', 'very_busy', 'short'] as const;

/** Returns why a healthy node is not leased: it is short of disk or memory. The figures can be slightly newer than the decision. */
const shortage = ({ useBand, memoryMb, facts }: Node): string | null =>
  useBand === SHORT
    ? (shortageOf({
        memoryMb,
        diskMb: facts.disk_mb,
        memoryFreeMb: facts.memory_free_mb,
        diskFreeMb: facts.disk_free_mb,
        before: useBand,
      }) ?? 'too little free disk or memory')
    : null;

export const presentPairing = (pairing: Pairing | undefined): Pick<contract.Node, 'predecessor_id' | 'successor_id'> => ({
  predecessor_id: pairing?.predecessorId ?? null,
  successor_id: pairing?.successorId ?? null,
});

export function presentNodeForAdmin(node: Node): contract.NodeForAdmin {
  return {
    ...presentNode(node, true),
    address: node.address,
    ssh_port: node.sshPort,
    reach: node.reach,
    status_reason: node.statusReason ?? shortage(node),
    use: USE[node.useBand],
    status_since: node.statusSince.toISOString(),
    drained: node.drained,
    leaving: node.leaving,
    dirty: node.dirty,
    host_key_fingerprint: fingerprintOf(node.hostKey),
    offered_host_key_fingerprint: node.offeredHostKey === null ? null : fingerprintOf(node.offeredHostKey),
    facts: { ...node.facts },
    last_checked_at: time(node.lastCheckedAt),
    last_heartbeat_at: time(node.lastHeartbeatAt),
    last_death_at: time(node.lastDeathAt),
    wiped_at: time(node.wipedAt),
    checks: node.checks,
    checked_at: time(node.checkedAt),
    wipe_failures: node.wipeFailures,
    provision_failures: node.provisionFailures,
    registered_at: node.registeredAt.toISOString(),
    max_cpus: node.maxCpus,
    max_memory_mb: node.maxMemoryMb,
    withheld_reason: node.withheldReason,
    shared_storage: node.sharedStorage,
    not_examined: node.notExamined,
    uid_range: node.uidRange && formatUidRange(node.uidRange),
    uid_refusal: node.uidRefusal,
  };
}
