export interface BackoffPolicy {
  firstSeconds: number;
  maxSeconds: number;
}

/**
 * Exponential backoff with "equal jitter": half of the doubled delay is fixed, the other half is random. So many clients spread out, and
 * none retries at once. (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
 *
 * @param attempt 1 for the first failure
 * @param random a number in [0, 1)
 * @returns seconds to wait, between half of and the whole of min(max, first * 2^(attempt-1))
 */
export function backoffSeconds(policy: BackoffPolicy, attempt: number, random: number): number {
  const doubled = policy.firstSeconds * 2 ** Math.min(Math.max(attempt, 1) - 1, 30);
  const ceiling = Math.min(policy.maxSeconds, doubled);
  return ceiling / 2 + (ceiling / 2) * random;
}
