/** The state of a queue's lag; see judgeLag. */
export interface LagState {
  /** Lag of the last sample; null before the first one. */
  seconds: number | null;
  /** Minimum number of replicas because of the lag; valid until `holdUntilMs`. */
  floor: number;
  holdUntilMs: number;
  holdSeconds: number;
}

export interface LagLook {
  seconds: number;
  replicas: number;
  atMs: number;
}

export interface LagPolicy {
  /** A lag up to this changes nothing. */
  lagSeconds: number;
  /** How long the first added replica stays. */
  holdSeconds: number;
}

/** Lag that returns within this many hold times counts as the same lag. */
const FORGET_AFTER_HOLDS = 10;

export const NO_LAG: LagState = { seconds: null, floor: 0, holdUntilMs: -Infinity, holdSeconds: 0 };

/**
 * Adds one replica when a queue is late and does not catch up. A queue that is in time again does not show whether the replica is still
 * needed, because work that waits for machines costs no CPU. So the replica stays for a while, and then one less is tried. Each time the
 * lag returns, the replica stays twice as long. Under a constant load, the trials therefore die out. Pure.
 */
export function judgeLag(before: LagState, { seconds, replicas, atMs }: LagLook, policy: LagPolicy): LagState {
  const late = seconds > policy.lagSeconds && before.seconds !== null && seconds >= before.seconds;
  if (!late) {
    return { ...before, seconds };
  }
  const held = atMs < before.holdUntilMs;
  const cameBack = !held && atMs < before.holdUntilMs + before.holdSeconds * 1000 * FORGET_AFTER_HOLDS;
  const holdSeconds = held ? before.holdSeconds : cameBack ? before.holdSeconds * 2 : policy.holdSeconds;
  const floor = held ? Math.max(before.floor, replicas + 1) : replicas + 1;
  return { seconds, floor, holdUntilMs: atMs + holdSeconds * 1000, holdSeconds };
}

/** The minimum number of replicas because of lag now; 0: none. */
export function lagFloor({ floor, holdUntilMs }: LagState, atMs: number): number {
  return atMs < holdUntilMs ? floor : 0;
}
