/** What is known of a queue's lateness; see judgeLag. */
export interface LagState {
  /** At the last look; null before the first one. */
  seconds: number | null;
  /** Replicas that the lateness asked for; counts until `holdUntilMs`. */
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
  /** Lateness up to this is no reason for anything. */
  lagSeconds: number;
  /** How long the first remedy stays. */
  holdSeconds: number;
}

/** Lateness that comes back within as many times as it was held is the same one. */
const FORGET_AFTER_HOLDS = 10;

export const NO_LAG: LagState = { seconds: null, floor: 0, holdUntilMs: -Infinity, holdSeconds: 0 };

/**
 * A queue that is late and does not catch up asks for one replica more. Whether that one is still needed cannot be seen from a queue that is in time
 * again: work that waits for machines costs no CPU. So it is held for a while and then tried without; each time the lateness comes back, it is
 * held twice as long. Under a constant load the trials therefore die out. Pure.
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

/** The replicas that lateness asks for now; 0: none. */
export function lagFloor({ floor, holdUntilMs }: LagState, atMs: number): number {
  return atMs < holdUntilMs ? floor : 0;
}
