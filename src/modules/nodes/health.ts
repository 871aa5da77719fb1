import type { NodeStatus } from './types';

export type ProbeOutcome = 'ok' | 'failed' | 'host_key_changed';

export interface HealthState {
  status: NodeStatus;
  failures: number;
  firstFailedAt: Date | null;
}

export interface HealthPolicy {
  /** Consecutive failures that make a node dead (R20: 3). */
  deadAfterFailures: number;
  intervalSeconds: number;
  /** Seconds between the probes of a node that has begun to fail. */
  suspectIntervalSeconds: number;
}

export interface HealthContext {
  /** By the database's clock. */
  now: Date;
  /** Failures that began before this moment do not count, because the control plane itself was down (I8). */
  judgedSince: Date;
  policy: HealthPolicy;
}

export interface Decision extends HealthState {
  status: 'unknown' | 'alive' | 'suspect' | 'dead' | 'quarantined';
  nextProbeSeconds: number;
  /** The node was not dead before this probe and is dead now. */
  died: boolean;
  /** The node was dead or never verified, and answers now. It must be wiped before anybody may lease it (I6). */
  returned: boolean;
}

/** Judges one probe of a node whose health is watched (unknown, alive, suspect or dead). Pure. */
export function judgeProbe(state: HealthState, outcome: ProbeOutcome, context: HealthContext): Decision {
  switch (outcome) {
    case 'ok':
      return judgeSuccess(state, context);
    case 'failed':
      return judgeFailure(state, context);
    case 'host_key_changed':
      return { ...quiet(state), status: 'quarantined', nextProbeSeconds: context.policy.intervalSeconds };
  }
}

const quiet = (state: HealthState): Omit<Decision, 'status' | 'nextProbeSeconds'> => ({ ...state, died: false, returned: false });

function judgeSuccess(state: HealthState, { policy }: HealthContext): Decision {
  return {
    ...quiet(state),
    status: 'alive',
    failures: 0,
    firstFailedAt: null,
    nextProbeSeconds: policy.intervalSeconds,
    returned: state.status === 'dead' || state.status === 'unknown',
  };
}

function judgeFailure(state: HealthState, { now, judgedSince, policy }: HealthContext): Decision {
  if (state.status === 'dead') {
    return { ...quiet(state), status: 'dead', nextProbeSeconds: policy.intervalSeconds };
  }
  const countsOn = state.firstFailedAt !== null && state.firstFailedAt >= judgedSince;
  const failures = countsOn ? state.failures + 1 : 1;
  const firstFailedAt = countsOn ? state.firstFailedAt : now;
  const died = failures >= policy.deadAfterFailures;
  const status = died ? 'dead' : state.status === 'unknown' ? 'unknown' : 'suspect';
  return {
    status,
    failures,
    firstFailedAt,
    nextProbeSeconds: died ? policy.intervalSeconds : policy.suspectIntervalSeconds,
    died,
    returned: false,
  };
}

export interface FleetCounts {
  /** Nodes that are alive by a recent probe. The count may stop at `failing`. */
  healthy: number;
  /** Nodes that are suspect, or died in the last few minutes. */
  failing: number;
}

const MIN_FAILING_FOR_BREAKER = 3;

/**
 * Returns true when most of the fleet fails at once. Then the control plane has more likely lost contact with the nodes than the machines
 * have died, and moving leases would do harm (I8). The breaker stays closed while fewer than three nodes fail. Pure.
 */
export function shouldOpenBreaker({ healthy, failing }: FleetCounts): boolean {
  return failing >= MIN_FAILING_FOR_BREAKER && failing > healthy;
}
