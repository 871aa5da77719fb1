import { judgeLag, lagFloor, type LagPolicy, type LagState, NO_LAG } from './lag';
import { smooth, type Smoothed } from './smooth';
import type { Obstacle } from './types';

export interface ScalePolicy {
  min: number;
  max: number;
  /** Target utilisation of one replica. */
  targetPercent: number;
  /** Half the width of the band around each threshold in which nothing changes, in percent of the threshold. */
  tolerancePercent: number;
  /** A replica is removed only if no sample of this time wanted it. */
  stabilisationSeconds: number;
  /** From the end of one change to the next. */
  cooldownSeconds: number;
  /** Half-life of the smoothing. */
  smoothingSeconds: number;
  /** After this long without a sample, earlier samples do not count any more. */
  staleSeconds: number;
  /** Lag of the queues above which a replica is added. */
  lagSeconds: number;
}

/** One sample of a service. Times are from the monotonic clock of one process. */
export interface Look {
  atMs: number;
  replicas: number;
  obstacle: Obstacle | null;
  /** CPU of all replicas together, in percent of one replica's CPU. Null when the reading of any replica is missing. */
  loadPercent: number | null;
  /** Lag of the longest due work; undefined for a service without queues. */
  lagSeconds: number | undefined;
}

/** The state between two samples. */
export interface ScaleState {
  load: Smoothed | null;
  /** Since when the load has been sampled without a gap. */
  watchedSinceMs: number;
  /** The replicas that the samples of the last `stabilisationSeconds` wanted. */
  wanted: { atMs: number; replicas: number }[];
  /** When the last change ended. A new leader does not know, so it uses its own start. */
  changedAtMs: number;
  lag: LagState;
}

type Reason =
  Obstacle | 'sample_missing' | 'load' | 'lag' | 'idle' | 'below_min' | 'above_max' | 'steady' | 'at_max' | 'cooling_down' | 'stabilising';

export interface Decision {
  /** Number of replicas to have now: the current number, one less, or at most twice as many. */
  to: number;
  /** The number that the policy aims at. */
  wanted: number;
  reason: Reason;
  /** Smoothed average of the replicas; null when nothing is known. */
  utilisationPercent: number | null;
}

export const beginScaling = (atMs: number): ScaleState => ({
  load: null,
  watchedSinceMs: atMs,
  wanted: [],
  changedAtMs: atMs,
  lag: NO_LAG,
});

/** Starts the cool-down after a change, whether it worked or not. */
export const endChange = (state: ScaleState, atMs: number): ScaleState => ({ ...state, changedAtMs: atMs });

/**
 * Decides about one service. It scales up at once, scales down when the whole window agrees, and does nothing while anything is unclear.
 * The smoothed value is the load of all replicas together, which does not change with their number.
 *
 * Going from n - 1 replicas to n needs a load above (n - 1) · target + tolerance; going back needs one below (n - 1) · target - tolerance.
 * A load that varies by less never makes the number oscillate. Pure.
 */
export function decideScale(before: ScaleState, look: Look, policy: ScalePolicy): { state: ScaleState; decision: Decision } {
  const { atMs } = look;
  const unclear = look.obstacle ?? (look.loadPercent === null ? 'sample_missing' : null);
  if (unclear !== null || look.loadPercent === null) {
    return {
      state: moves(look.obstacle) ? endChange(before, atMs) : before,
      decision: stay(look, unclear ?? 'sample_missing', before.load),
    };
  }
  const seen = watch(before, look, policy);
  const load = smooth(seen.load, { value: look.loadPercent, atMs }, policy.smoothingSeconds);
  const lag =
    look.lagSeconds === undefined
      ? seen.lag
      : judgeLag(seen.lag, { seconds: look.lagSeconds, replicas: look.replicas, atMs }, toLagPolicy(policy));
  const want = wantedReplicas(look.replicas, { loadPercent: load.value, floor: lagFloor(lag, atMs) }, policy);
  const state: ScaleState = { ...seen, load, lag, wanted: [...seen.wanted, { atMs, replicas: want.replicas }] };
  return { state, decision: step(state, look, { want, policy }) };
}

/** Whether replicas still come or go. Until they are done, the change has not ended. */
const moves = (obstacle: Obstacle | null): boolean => obstacle === 'starting' || obstacle === 'draining' || obstacle === 'updating';

/** Forgets samples older than the window, and all of them after a gap longer than `staleSeconds`. */
function watch(before: ScaleState, { atMs }: Look, { stabilisationSeconds, staleSeconds }: ScalePolicy): ScaleState {
  const gap = before.load === null || atMs - before.load.atMs > staleSeconds * 1000;
  if (gap) {
    return { ...before, load: null, watchedSinceMs: atMs, wanted: [] };
  }
  return { ...before, wanted: before.wanted.filter((want) => want.atMs >= atMs - stabilisationSeconds * 1000) };
}

const toLagPolicy = ({ lagSeconds, stabilisationSeconds, staleSeconds }: ScalePolicy): LagPolicy => ({
  lagSeconds,
  holdSeconds: Math.max(stabilisationSeconds, staleSeconds),
});

interface Want {
  replicas: number;
  reason: 'load' | 'lag' | 'at_max';
}

function wantedReplicas(actual: number, { loadPercent, floor }: { loadPercent: number; floor: number }, policy: ScalePolicy): Want {
  const { min, max, targetPercent, tolerancePercent } = policy;
  const tolerance = tolerancePercent / 100;
  const tooMuch = loadPercent > actual * targetPercent * (1 + tolerance);
  const byLoad = tooMuch
    ? Math.ceil(loadPercent / targetPercent)
    : Math.min(actual, Math.ceil(loadPercent / (targetPercent * (1 - tolerance))));
  const free = Math.max(byLoad, floor);
  return { replicas: Math.min(max, Math.max(min, free)), reason: free > max ? 'at_max' : floor > byLoad ? 'lag' : 'load' };
}

function step(state: ScaleState, look: Look, { want, policy }: { want: Want; policy: ScalePolicy }): Decision {
  const { replicas: actual, atMs } = look;
  const highest = Math.max(...state.wanted.map(({ replicas }) => replicas));
  const direction = Math.sign(want.replicas - actual);
  const decision = { ...stay(look, 'steady', state.load), wanted: want.replicas };
  if (direction === 0) {
    return { ...decision, reason: want.reason === 'at_max' ? 'at_max' : 'steady' };
  }
  if (atMs - state.changedAtMs < policy.cooldownSeconds * 1000) {
    return { ...decision, reason: 'cooling_down' };
  }
  if (direction > 0) {
    return { ...decision, to: Math.min(want.replicas, actual * 2), reason: actual < policy.min ? 'below_min' : want.reason };
  }
  if (highest >= actual || atMs - state.watchedSinceMs < policy.stabilisationSeconds * 1000) {
    return { ...decision, reason: 'stabilising' };
  }
  return { ...decision, to: actual - 1, reason: actual > policy.max ? 'above_max' : 'idle' };
}

const stay = ({ replicas }: Look, reason: Reason, load: Smoothed | null): Decision => ({
  to: replicas,
  wanted: replicas,
  reason,
  utilisationPercent: load === null || replicas === 0 ? null : load.value / replicas,
});
