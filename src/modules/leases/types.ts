/** See docs/states.md. */
export type LeaseState = 'provisioning' | 'active' | 'migrating' | 'ending' | 'ended' | 'failed';
export type PlacementState = 'creating' | 'present' | 'wiping' | 'wiped';
export type EndReason = 'expired' | 'released' | 'rent_failed' | 'revoked';

/** What the client asked for; kept so that a migration looks for the same. */
export interface LeaseRequirements {
  cpus: number;
  memoryMb: number;
  labels: Record<string, string>;
}

export interface Lease {
  id: number;
  rentId: number;
  userId: number;
  state: LeaseState;
  generation: number;
  occupiedNodeId: number | null;
  requirements: LeaseRequirements;
  publicKeys: string[];
  passwordHash: string | null;
  createdAt: Date;
  endsAt: Date;
  /** By the database's clock, at the time of reading; 0 when over. */
  remainingSeconds: number;
  /** How long it has been migrating, at the time of reading; null when it is not. */
  migratingSeconds: number | null;
  waitingSince: Date | null;
  activatedAt: Date | null;
  endedAt: Date | null;
  endReason: string | null;
}

export interface Placement {
  id: number;
  leaseId: number;
  nodeId: number;
  generation: number;
  current: boolean;
  state: PlacementState;
  username: string;
  uid: number;
  attempts: number;
  lastError: string | null;
  createdAt: Date;
  presentAt: Date | null;
  wipedAt: Date | null;
}

/** A placement that this process works on until its claim expires. */
export interface ClaimedPlacement {
  id: number;
  token: string;
  leaseId: number;
  nodeId: number;
  generation: number;
  username: string;
  uid: number;
  attempts: number;
  /** Uids in a row that its node refused under this claim. */
  refusedUids?: number;
  /** No account of it was ever there, so there is nothing in its home that anybody could lose. */
  untouched: boolean;
  /** `creating`: to be made; `present`: there already, to be brought up to date. */
  state: 'creating' | 'present';
  /** `access_wanted` at the time of the claim, which is before the keys are read. */
  accessWanted: number;
}

/** States in which the lease holds a node and its owner may use, extend or release it. */
export const RUNNING = ['provisioning', 'active', 'migrating'] as const satisfies readonly LeaseState[];

export const isRunning = (state: LeaseState): boolean => RUNNING.some((running) => running === state);
