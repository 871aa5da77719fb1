import { fromJson } from '../../../db/sql';
import type { Reach } from '../../../ssh';
import { labelsOf } from '../declared';
import type { NotExamined, SharedStoragePolicy } from '../shared-storage';
import type { Facts, Labels, Node, NodeCheck, NodeStatus, ReachableNode, Vitals } from '../types';
import { ownRangeOf } from './uids';
import { SHORT, type UseBand } from '../use';

export interface ReachableRow {
  id: number;
  hostname: string;
  address: string;
  ssh_port: number;
  reach: Reach;
  host_key: string;
  status: NodeStatus;
}

export interface NodeRow extends ReachableRow {
  offered_host_key: string | null;
  status_reason: string | null;
  status_since: Date;
  drained: number;
  leaving: number;
  evacuating: number;
  dirty: number;
  lease_id: number | null;
  leasable: number;
  use_band: UseBand;
  cpus: number;
  memory_mb: number;
  labels: unknown;
  operator_labels: string | null;
  max_cpus: number | null;
  max_memory_mb: number | null;
  facts: unknown;
  last_death_at: Date | null;
  probe_failures: number;
  first_failed_at: Date | null;
  last_checked_at: Date | null;
  last_heartbeat_at: Date | null;
  vitals: unknown;
  wipe_failures: number;
  wiped_at: Date | null;
  checks: string | null;
  checked_at: Date | null;
  withheld_looks: number;
  provision_failures: number;
  registered_at: Date;
  shared_storage: SharedStoragePolicy;
  not_examined: string | null;
  withheld_reason: string | null;
  uid_range_first: number | null;
  uid_range_last: number | null;
  uid_refusal: string | null;
}

/** The columns of `NodeRow`. Hashes of credentials are left out on purpose. */
export const NODE_COLUMNS = `id, hostname, address, ssh_port, reach, host_key, offered_host_key, status, status_reason, status_since, drained, leaving, evacuating, dirty,
  lease_id, leasable, use_band, cpus, memory_mb, labels, operator_labels, max_cpus, max_memory_mb, facts, last_death_at, probe_failures, first_failed_at, last_checked_at,
  shared_storage, not_examined, withheld_reason, uid_range_first, uid_range_last, uid_refusal, checks, checked_at, withheld_looks, wipe_failures, wiped_at, provision_failures, registered_at, (SELECT h.last_heartbeat_at FROM heartbeats h WHERE h.node_id = nodes.id) AS last_heartbeat_at,
  (SELECT JSON_OBJECT('load1', h.load1, 'memory_free_mb', h.memory_free_mb, 'disk_free_mb', h.disk_free_mb) FROM heartbeats h WHERE h.node_id = nodes.id) AS vitals`;

export const toReachableNode = (row: ReachableRow): ReachableNode => ({
  id: row.id,
  hostname: row.hostname,
  address: row.address,
  sshPort: row.ssh_port,
  reach: row.reach,
  hostKey: row.host_key,
  status: row.status,
});

export function toNode(row: NodeRow): Node {
  const labels = fromJson<Labels>(row.labels);
  return {
    ...toReachableNode(row),
    offeredHostKey: row.offered_host_key,
    statusReason: row.status_reason,
    statusSince: row.status_since,
    drained: row.drained === 1,
    leaving: row.leaving === 1,
    evacuating: row.evacuating === 1,
    dirty: row.dirty === 1,
    leaseId: row.lease_id,
    leasable: row.leasable === 1 && row.use_band < SHORT,
    useBand: row.use_band,
    cpus: row.cpus,
    memoryMb: row.memory_mb,
    maxCpus: row.max_cpus,
    maxMemoryMb: row.max_memory_mb,
    labels,
    // In a row of the previous release, all labels without the node's prefix are the operators'.
    operatorLabels: row.operator_labels === null ? labelsOf(labels, 'operator') : fromJson<Labels>(row.operator_labels),
    facts: { ...fromJson<Facts>(row.facts), ...knownOf(fromJson<Vitals | null>(row.vitals)) },
    lastDeathAt: row.last_death_at,
    probeFailures: row.probe_failures,
    firstFailedAt: row.first_failed_at,
    lastCheckedAt: row.last_checked_at,
    lastHeartbeatAt: row.last_heartbeat_at,
    wipeFailures: row.wipe_failures,
    wipedAt: row.wiped_at,
    checks: row.checks === null ? [] : fromJson<NodeCheck[]>(row.checks),
    checkedAt: row.checked_at,
    withheldLooks: row.withheld_looks,
    provisionFailures: row.provision_failures,
    registeredAt: row.registered_at,
    sharedStorage: row.shared_storage,
    notExamined: toNotExamined(row.not_examined),
    withheldReason: row.withheld_reason,
    uidRange: ownRangeOf(row),
    uidRefusal: row.uid_refusal,
  };
}

/** Parses the column `not_examined`. Null: no release that examines file systems has wiped the node yet. */
export const toNotExamined = (column: string | null): NotExamined[] => (column === null ? [] : fromJson<NotExamined[]>(column));

/** Drops the vitals that no heartbeat contained: they are NULL in the row. */
const knownOf = (vitals: Vitals | null): Vitals => Object.fromEntries(Object.entries(vitals ?? {}).filter(([, value]) => value !== null));
