import type { Cause } from '../../lib/origin';

/** See docs/states.md. */
export type LeaseState = 'provisioning' | 'active' | 'migrating' | 'ending' | 'ended' | 'failed';
export type PlacementState = 'creating' | 'present' | 'wiping' | 'wiped';
export type EndReason = 'expired' | 'released' | 'rent_failed' | 'revoked';

/** The requirements of the rent. A migration looks for a node that satisfies them, too. */
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
  /** By the database's clock, at the time of reading; 0: the lease is over. */
  remainingSeconds: number;
  /** How long the lease has been migrating, at the time of reading; null: it is not migrating. */
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
  /** The account was never present, so its home contains no data that could be lost. */
  untouched: boolean;
  /** `creating`: the account must be made. `present`: the account is there and must be brought up to date. */
  state: 'creating' | 'present';
  /** `access_wanted` at the time of the claim, which is before the keys are read. */
  accessWanted: number;
  /** The act that ordered the work. */
  cause: Cause;
}

/** States in which the lease occupies a node and its user may use, extend or release it. */
export const RUNNING = ['provisioning', 'active', 'migrating'] as const satisfies readonly LeaseState[];

export const isRunning = (state: LeaseState): boolean => RUNNING.some((running) => running === state);
