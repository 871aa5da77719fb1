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
  /** Between the probes of a node that has begun to fail. */
  suspectIntervalSeconds: number;
}

export interface HealthContext {
  /** By the database's clock. */
  now: Date;
  /** Failures that began before this moment count for nothing: the control plane itself was away (I8). */
  judgedSince: Date;
  policy: HealthPolicy;
}

export interface Verdict extends HealthState {
  status: 'unknown' | 'alive' | 'suspect' | 'dead' | 'quarantined';
  nextProbeSeconds: number;
  /** It was not dead before and is now. */
  died: boolean;
  /** It had been away (dead or never verified) and answers: it must be wiped before anybody may lease it (I6). */
  returned: boolean;
}

/** Judges one probe of a node whose health is watched (unknown, alive, suspect or dead). Pure. */
export function judgeProbe(state: HealthState, outcome: ProbeOutcome, context: HealthContext): Verdict {
  switch (outcome) {
    case 'ok':
      return judgeSuccess(state, context);
    case 'failed':
      return judgeFailure(state, context);
    case 'host_key_changed':
      return { ...quiet(state), status: 'quarantined', nextProbeSeconds: context.policy.intervalSeconds };
  }
}

const quiet = (state: HealthState): Omit<Verdict, 'status' | 'nextProbeSeconds'> => ({ ...state, died: false, returned: false });

function judgeSuccess(state: HealthState, { policy }: HealthContext): Verdict {
  return {
    ...quiet(state),
    status: 'alive',
    failures: 0,
    firstFailedAt: null,
    nextProbeSeconds: policy.intervalSeconds,
    returned: state.status === 'dead' || state.status === 'unknown',
  };
}

function judgeFailure(state: HealthState, { now, judgedSince, policy }: HealthContext): Verdict {
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
  /** Alive, by a probe of the last seconds; may be counted no further than `failing`. */
  healthy: number;
  /** Suspect, or dead for a few minutes at most. */
  failing: number;
}

const MIN_FAILING_FOR_BRAKE = 3;

/**
 * True when most of the fleet fails at once: then it is more likely that the control plane cannot see than that the machines died,
 * and moving leases would do harm (I8). Below three failing nodes it stays closed. Pure.
 */
export function shouldOpenBreaker({ healthy, failing }: FleetCounts): boolean {
  return failing >= MIN_FAILING_FOR_BRAKE && failing > healthy;
}
