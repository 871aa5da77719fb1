import { beginScaling, type Decision, decideScale, endChange, type ScalePolicy } from '../../src/modules/scaling/policy';

export interface Simulation {
  policy: ScalePolicy;
  /** Replicas at the start. */
  replicas: number;
  /** CPU that the work needs at a time, in percent of one replica: 250 keeps two and a half replicas busy. */
  loadAt: (second: number) => number;
  /** Computes the lag of the queues from the serving replicas. Undefined for a service without queues. */
  queue?: { step(options: { seconds: number; replicas: number; second: number }): number };
  intervalSeconds: number;
  /** Seconds until a new replica serves. A removed one takes as long to stop. */
  startSeconds: number;
  seconds: number;
}

export interface Moment {
  second: number;
  replicas: number;
  decision: Decision;
}

/**
 * Simulates a service that only the policy scales. A replica gives at most 100 %, and the work is spread evenly. A new replica serves after
 * a while, and has no reading in its first sample. Returns every sample with its decision.
 */
export function simulate({ policy, replicas: first, loadAt, queue, intervalSeconds, startSeconds, seconds }: Simulation): Moment[] {
  const moments: Moment[] = [];
  let replicas = first;
  let movingUntil = -1;
  let unsampled = true;
  let state = beginScaling(0);
  for (let second = 0; second <= seconds; second += intervalSeconds) {
    const obstacle = second < movingUntil ? ('starting' as const) : null;
    const lagSeconds = queue?.step({ seconds: intervalSeconds, replicas, second });
    const loadPercent = unsampled || obstacle ? null : Math.min(loadAt(second), replicas * 100);
    const next = decideScale(state, { atMs: second * 1000, replicas, obstacle, loadPercent, lagSeconds }, policy);
    moments.push({ second, replicas, decision: next.decision });
    state = next.state;
    unsampled = obstacle !== null;
    if (next.decision.to !== replicas) {
      replicas = next.decision.to;
      movingUntil = second + startSeconds;
      unsampled = true;
      state = endChange(state, second * 1000);
    }
  }
  return moments;
}

/** Selects the samples at which the policy changed something. */
export const changesOf = (moments: Moment[]): Moment[] => moments.filter(({ replicas, decision }) => decision.to !== replicas);
