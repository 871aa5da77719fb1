import type { Reach, SshTarget } from '../../ssh';
import type { NotExamined, SharedStoragePolicy } from './shared-storage';
import type { UidRange } from '../../lib/uid-range';
import type { UseBand } from './use';

/** See docs/states.md. The flags `drained` and `dirty` are separate from the status. */
export type NodeStatus = 'pending' | 'unknown' | 'alive' | 'suspect' | 'dead' | 'quarantined' | 'retired';

export type Labels = Record<string, string>;

/** Limits on how much of a node's CPUs and memory counts. Null: all that the node declares. */
export interface Caps {
  maxCpus: number | null;
  maxMemoryMb: number | null;
}

/** Requirements that a node must satisfy for a rent. */
export interface Requirements {
  cpus: number;
  memoryMb: number;
  labels: Labels;
}

/** Facts that the agent reports about its machine, for people to read. Placement uses only CPUs, memory and labels. */
export interface Facts extends Vitals {
  disk_mb?: number;
  os?: string;
  arch?: string;
  kernel?: string;
  gpu?: string;
  agent_version?: string;
}

/** The facts that heartbeats contain. */
export interface Vitals {
  load1?: number | undefined;
  memory_free_mb?: number | undefined;
  disk_free_mb?: number | undefined;
}

/** A check of one thing that a machine must be able to do, with its last result. */
export interface NodeCheck {
  name: string;
  result: 'ok' | 'fail';
  cause: string;
  remedy: string;
}

export interface Node extends Caps {
  sharedStorage: SharedStoragePolicy;
  notExamined: NotExamined[];
  /** Why the node is not leased although it was wiped; null: it is not withheld. */
  withheldReason: string | null;
  /** The machine's own range of uids; null: it uses the fleet's range. */
  uidRange: UidRange | null;
  /** Why the machine refused several uids in a row, since its last account was made. */
  uidRefusal: string | null;
  id: number;
  hostname: string;
  address: string;
  sshPort: number;
  /** The transport of the last successful probe. */
  reach: Reach;
  /** The pinned host key, as `type base64`. */
  hostKey: string;
  offeredHostKey: string | null;
  status: NodeStatus;
  statusReason: string | null;
  statusSince: Date;
  drained: boolean;
  leaving: boolean;
  /** The node is drained, and its lease must move to another node. */
  evacuating: boolean;
  dirty: boolean;
  leaseId: number | null;
  leasable: boolean;
  useBand: UseBand;
  cpus: number;
  memoryMb: number;
  /** The operators' labels, and the node's labels with their prefix. */
  labels: Labels;
  operatorLabels: Labels;
  facts: Facts;
  lastDeathAt: Date | null;
  probeFailures: number;
  firstFailedAt: Date | null;
  lastCheckedAt: Date | null;
  lastHeartbeatAt: Date | null;
  wipeFailures: number;
  wipedAt: Date | null;
  /** Empty: the node was not checked yet. */
  checks: NodeCheck[];
  checkedAt: Date | null;
  /** Consecutive wipes after which the node was withheld. */
  withheldLooks: number;
  provisionFailures: number;
  registeredAt: Date;
}

/** The fields that are needed to name a node and to log in to it. */
export type ReachableNode = Pick<Node, 'id' | 'hostname' | 'address' | 'sshPort' | 'hostKey' | 'reach' | 'status'>;

/** Returns how to connect to a node's sshd. */
export const targetOf = ({ id, address, sshPort, hostKey, reach }: ReachableNode): SshTarget => ({
  nodeId: id,
  address,
  port: sshPort,
  hostKey,
  reach,
});

/** Statuses in which the control plane can do nothing on the node. A lease on such a node must move. */
export const LOST: readonly NodeStatus[] = ['dead', 'quarantined', 'retired'];
