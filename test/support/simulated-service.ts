import { beginScaling, type Decision, decideScale, endChange, type ScalePolicy } from '../../src/modules/scaling/policy';

export interface Simulation {
  policy: ScalePolicy;
  /** Replicas at the start. */
  replicas: number;
  /** CPU that the work asks for at a time, in percent of one replica: 250 keeps two and a half of them busy. */
  loadAt: (second: number) => number;
  /** How late the queues are, by what serves; undefined for a service without queues. */
  queue?: { step(options: { seconds: number; replicas: number; second: number }): number };
  intervalSeconds: number;
  /** A new replica serves after so long; one that goes takes as long. */
  startSeconds: number;
  seconds: number;
}

export interface Moment {
  second: number;
  replicas: number;
  decision: Decision;
}

/**
 * A service that is scaled by the policy alone: a replica gives 100 % at most, the work is spread evenly, a new one serves after a while and has
 * no sample at its first look. Gives every look with what was decided.
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

/** The looks at which something was changed. */
export const changesOf = (moments: Moment[]): Moment[] => moments.filter(({ replicas, decision }) => decision.to !== replicas);
