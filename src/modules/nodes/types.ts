import type { Reach, SshTarget } from '../../ssh';
import type { NotExamined, SharedStoragePolicy } from './shared-storage';
import type { UidRange } from '../../lib/uid-range';
import type { UseBand } from './use';

/** See docs/states.md. `drained` and `dirty` are flags beside it. */
export type NodeStatus = 'pending' | 'unknown' | 'alive' | 'suspect' | 'dead' | 'quarantined' | 'retired';

export type Labels = Record<string, string>;

/** So much of a node's processors and memory counts at most. Null: all that it declares. */
export interface Caps {
  maxCpus: number | null;
  maxMemoryMb: number | null;
}

/** What a rent may ask of a node. */
export interface Requirements {
  cpus: number;
  memoryMb: number;
  labels: Labels;
}

/** What the agent says of its machine, for people to look at; placement uses cpus, memory and labels only. */
export interface Facts extends Vitals {
  disk_mb?: number;
  os?: string;
  arch?: string;
  kernel?: string;
  gpu?: string;
  agent_version?: string;
}

/** Those of the facts that come with heartbeats. */
export interface Vitals {
  load1?: number | undefined;
  memory_free_mb?: number | undefined;
  disk_free_mb?: number | undefined;
}

/** One thing that a machine has to be able to do, when it was last looked at. */
export interface NodeCheck {
  name: string;
  result: 'ok' | 'fail';
  cause: string;
  remedy: string;
}

export interface Node extends Caps {
  sharedStorage: SharedStoragePolicy;
  notExamined: NotExamined[];
  /** Why it is not leased although it was wiped; null: nothing is wrong. */
  withheldReason: string | null;
  /** The machine must use this range of uids; null: the fleet's. */
  uidRange: UidRange | null;
  /** Why the machine refused several uids in a row, since its last account was made. */
  uidRefusal: string | null;
  id: number;
  hostname: string;
  address: string;
  sshPort: number;
  /** The way that the last good probe took. */
  reach: Reach;
  /** Pinned: `type base64`. */
  hostKey: string;
  offeredHostKey: string | null;
  status: NodeStatus;
  statusReason: string | null;
  statusSince: Date;
  drained: boolean;
  leaving: boolean;
  /** Drained, and whatever lease is on it is to go elsewhere. */
  evacuating: boolean;
  dirty: boolean;
  leaseId: number | null;
  leasable: boolean;
  useBand: UseBand;
  cpus: number;
  memoryMb: number;
  /** The operator's, and the node's under their prefix. */
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
  /** Empty: it was not looked at yet. */
  checks: NodeCheck[];
  checkedAt: Date | null;
  /** Wipes in a row after which it was withheld. */
  withheldLooks: number;
  provisionFailures: number;
  registeredAt: Date;
}

/** What it takes to speak of a node and to log in to it. */
export type ReachableNode = Pick<Node, 'id' | 'hostname' | 'address' | 'sshPort' | 'hostKey' | 'reach' | 'status'>;

/** Where to find a node's sshd. */
export const targetOf = ({ id, address, sshPort, hostKey, reach }: ReachableNode): SshTarget => ({ nodeId: id, address, port: sshPort, hostKey, reach });

/** Statuses from which a lease must move away, and in which nothing can be done on the node. */
export const LOST: readonly NodeStatus[] = ['dead', 'quarantined', 'retired'];
