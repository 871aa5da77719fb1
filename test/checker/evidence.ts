/**
 * What the checker judges: the tables as they are, what clients wrote down, what the nodes show. Times are milliseconds by the database's
 * clock.
 */
export interface Evidence {
  tables: Tables;
  /** Empty when no client wrote anything down. */
  history: Operation[];
  /** Null when the nodes were not looked at. */
  nodes: NodeInspection[] | null;
  /** The host keys that machines show to anybody; those of a fleet that nobody asked are left out. */
  hostKeys?: ShownKey[];
  /** Files in the store of checkpoints, by lease; left out when it was not looked at. */
  stored?: StoredFiles[];
}

export interface StoredFiles {
  leaseId: number;
  files: string[];
}

export interface Tables {
  now: number;
  leases: LeaseRecord[];
  placements: PlacementRecord[];
  nodes: NodeRecord[];
  rents: { id: number; userId: number; idempotencyKey: string | null }[];
  extensions: { id: number; leaseId: number; idempotencyKey: string | null; endsBefore: number; endsAfter: number; at: number }[];
  events: EventRecord[];
  /** Entries of the audit log whose events exist. Left out for tables of before. */
  sealed?: SealedRecord[];
  controlPlane: { lastTickAt: number; judgedSince: number; breakerSince: number | null };
  /** Uids of the fleet: 64 numbers each, from `first` on. `nodeId` null: no node has them. Left out for tables of before. */
  uidBlocks?: { first: number; nodeId: number | null }[];
  /** What the schema itself refuses twice: `leases(occupied_node_id)`. */
  uniqueKeys: string[];
}

export interface LeaseRecord {
  id: number;
  rentId: number;
  userId: number;
  state: string;
  generation: number;
  occupiedNodeId: number | null;
  createdAt: number;
  endsAt: number;
  /** When a migrating lease is looked at next. */
  dueAt: number | null;
  endedAt: number | null;
  endReason: string | null;
}

export interface PlacementRecord {
  id: number;
  leaseId: number;
  nodeId: number;
  generation: number;
  currentLeaseId: number | null;
  state: string;
  username: string;
  uid: number;
  /** 1, and one more for each change of who may log in to it while it was current. */
  accessWanted: number;
  createdAt: number;
  wipedAt: number | null;
}

export interface NodeRecord {
  id: number;
  hostname: string;
  status: string;
  drained: boolean;
  dirty: boolean;
  leasable: boolean;
  leaseId: number | null;
  wipedAt: number | null;
  lastCheckedAt: number | null;
  /** By a probe that was a fresh login. */
  loggedInAt: number | null;
  /** The pinned one: `type base64`. */
  hostKey: string;
  /** The first of the failures that its present health was judged by. */
  firstFailedAt: number | null;
  lastDeathAt: number | null;
}

export interface EventRecord {
  id: number;
  at: number;
  type: string;
  leaseId: number | null;
  nodeId: number | null;
  data: Record<string, unknown>;
}

/** An entry of the audit log, and the hash that its event has. Both are hex. */
export interface SealedRecord {
  seq: number;
  leaf: string;
  hash: string;
}

/** One request of a client: `unknown` when no answer came back, so that it may or may not have happened. */
export interface Operation {
  kind: 'rent' | 'extend' | 'release' | 'look';
  userId: number;
  /** Of an extend, a release or a look: what it was for; null when all were looked at. */
  leaseId: number | null;
  /** The Idempotency-Key; repetitions share it. */
  key: string | null;
  outcome: 'ok' | 'fail' | 'unknown';
  /**
   * Of an `ok` rent: the leases that were acknowledged, with their ends. Of an extend: the lease with its new end. Of a look: what was
   * shown.
   */
  leases: { id: number; endsAt: number }[];
  invokedAt: number;
  returnedAt: number | null;
}

/** What a node shows to a login of the checker's own. */
export interface NodeInspection {
  nodeId: number;
  /** When it was looked at, by the database's clock. */
  at: number;
  /** Entries of /etc/passwd named orn-…. */
  accounts: { username: string; uid: number }[];
  /** Uids from the tenants' range that own a process or a file. */
  strayUids: number[];
}

/** The key with which a machine proves who it is, whoever asks. */
export interface ShownKey {
  nodeId: number;
  /** When it was shown, by the database's clock. */
  at: number;
  /** `type base64`. */
  hostKey: string;
}

/** A broken invariant: which, where, and what proves it. */
export interface Violation {
  invariant: string;
  where: string;
  what: string;
}

export type Invariant = (evidence: Evidence) => Violation[];

export const RUNNING = new Set(['provisioning', 'active', 'migrating']);

/** A function that makes violations of one invariant. */
export const violationOf =
  (invariant: string) =>
  (where: string, what: string): Violation => ({ invariant, where, what });

export function groupBy<T>(items: T[], keyOf: (item: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) {
      group.push(item);
    } else {
      groups.set(key, [item]);
    }
  }
  return groups;
}
