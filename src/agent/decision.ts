import { backoffSeconds } from '../lib/backoff';
import type { Answer } from './answer';

/** The meaning of an answer for the agent's membership. */
export type Decision = 'accepted' | 'unauthenticated' | 'retired' | 'clone' | 'try_again';

const FIRST_RETRY_SECONDS = 1;
/** Backoff for refusals that only a person can lift. */
const SHUT_OUT = { firstSeconds: 10, maxSeconds: 300 };
const MAX_RETRY_AFTER_SECONDS = 3600;

export function judgeAnswer(answer: Answer<unknown>): Decision {
  if (answer.kind === 'ok') {
    return 'accepted';
  }
  return answer.kind === 'refused' ? judgeRefusal(answer) : 'try_again';
}

function judgeRefusal({ status, code, retryAfterSeconds }: Extract<Answer<unknown>, { kind: 'refused' }>): Decision {
  switch (status) {
    case 401:
    case 403:
      return 'unauthenticated';
    case 409:
      // Retry-After means that the control plane does not know yet whether this machine is a copy.
      return code === 'host_key_in_use' && retryAfterSeconds === undefined ? 'clone' : 'try_again';
    case 410:
      return code === 'node_retired' ? 'retired' : 'try_again';
    default:
      return 'try_again';
  }
}

/** The timeout of a call, and the longest pause before the retry of a failed call. */
export interface Pace {
  timeoutMs: number;
  maxRetrySeconds: number;
}

/**
 * Derives the pace from the lease timeout. A call times out after half the limit at most, so one lost call leaves time for another. Retries
 * come at least every third of the limit, so that suspended accounts are released soon after the control plane is back. The limit counts as
 * at least three intervals, so no agent retries more often than it sends heartbeats. (The control plane gives an agent without accounts a
 * longer interval.)
 */
export function paceOf(contactLimitSeconds: number, intervalSeconds = 0): Pace {
  const limit = Math.max(contactLimitSeconds, 3 * intervalSeconds);
  const within = (seconds: number, most: number): number => (contactLimitSeconds > 0 ? Math.min(most, Math.max(1, seconds)) : most);
  return { timeoutMs: within(limit / 2, 10) * 1000, maxRetrySeconds: within(limit / 3, 30) };
}

/**
 * Computes the seconds until the next attempt after `failures` failures in a row. The backoff is jittered, and slower where a person has to
 * act. The pause is never shorter than the control plane's Retry-After, which counts up to one hour.
 */
export function retrySeconds(
  answer: Answer<unknown>,
  failures: number,
  { random, maxRetrySeconds }: { random: number; maxRetrySeconds: number },
): number {
  const policy = judgeAnswer(answer) === 'unauthenticated' ? SHUT_OUT : { firstSeconds: FIRST_RETRY_SECONDS, maxSeconds: maxRetrySeconds };
  const asked = answer.kind === 'refused' ? Math.min(answer.retryAfterSeconds ?? 0, MAX_RETRY_AFTER_SECONDS) : 0;
  return Math.max(backoffSeconds(policy, failures, random), asked);
}

/** Computes the seconds to the next heartbeat: the interval ±10 %, so that agents that started together drift apart. */
export function heartbeatPauseSeconds(intervalSeconds: number, random: number): number {
  return intervalSeconds * (0.9 + 0.2 * random);
}
