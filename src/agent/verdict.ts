import { backoffSeconds } from '../lib/backoff';
import type { Answer } from './answer';

/** What an answer means for the agent's membership. */
export type Verdict = 'accepted' | 'unauthenticated' | 'retired' | 'clone' | 'try_again';

const FIRST_RETRY_SECONDS = 1;
/** For refusals that only a person can lift. */
const SHUT_OUT = { firstSeconds: 10, maxSeconds: 300 };
const MAX_RETRY_AFTER_SECONDS = 3600;

export function judgeAnswer(answer: Answer<unknown>): Verdict {
  if (answer.kind === 'ok') {
    return 'accepted';
  }
  return answer.kind === 'refused' ? judgeRefusal(answer) : 'try_again';
}

function judgeRefusal({ status, code, retryAfterSeconds }: Extract<Answer<unknown>, { kind: 'refused' }>): Verdict {
  switch (status) {
    case 401:
    case 403:
      return 'unauthenticated';
    case 409:
      // With Retry-After the control plane cannot tell yet.
      return code === 'host_key_in_use' && retryAfterSeconds === undefined ? 'clone' : 'try_again';
    case 410:
      return code === 'node_retired' ? 'retired' : 'try_again';
    default:
      return 'try_again';
  }
}

/** How long a call home may take, and how long the next one waits at most when it failed. */
export interface Pace {
  timeoutMs: number;
  maxRetrySeconds: number;
}

/**
 * Where accounts are held after some seconds without contact, one lost call must leave time for another, and they are given back as soon as
 * the control plane is back: then no agent calls more often than it does anyway. (One without accounts was told a longer interval.)
 */
export function paceOf(contactLimitSeconds: number, intervalSeconds = 0): Pace {
  const limit = Math.max(contactLimitSeconds, 3 * intervalSeconds);
  const within = (seconds: number, most: number): number => (contactLimitSeconds > 0 ? Math.min(most, Math.max(1, seconds)) : most);
  return { timeoutMs: within(limit / 2, 10) * 1000, maxRetrySeconds: within(limit / 3, 30) };
}

/**
 * Seconds until the next attempt after the `failures`-th failure in a row: jittered backoff, slower where a person has to act,
 * and never before the Retry-After that the control plane asked for.
 */
export function retrySeconds(answer: Answer<unknown>, failures: number, { random, maxRetrySeconds }: { random: number; maxRetrySeconds: number }): number {
  const policy = judgeAnswer(answer) === 'unauthenticated' ? SHUT_OUT : { firstSeconds: FIRST_RETRY_SECONDS, maxSeconds: maxRetrySeconds };
  const asked = answer.kind === 'refused' ? Math.min(answer.retryAfterSeconds ?? 0, MAX_RETRY_AFTER_SECONDS) : 0;
  return Math.max(backoffSeconds(policy, failures, random), asked);
}

/** Seconds to the next heartbeat: the interval ±10 %, so that a fleet that started together drifts apart. */
export function heartbeatPauseSeconds(intervalSeconds: number, random: number): number {
  return intervalSeconds * (0.9 + 0.2 * random);
}
