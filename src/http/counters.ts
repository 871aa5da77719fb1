import { type RateLimiterMySQL, RateLimiterRes } from 'rate-limiter-flexible';
import { OrionError } from '../lib/errors';

/** Adds one attempt for `key` and returns the count, even when the points are used up. */
export async function count(counter: RateLimiterMySQL, key: string): Promise<RateLimiterRes> {
  try {
    return await counter.consume(key);
  } catch (error) {
    if (error instanceof RateLimiterRes) {
      return error;
    }
    throw error;
  }
}

export const tooManyRequests = (waitMs: number): OrionError =>
  new OrionError('too_many_requests', 'Too many attempts. Wait as long as Retry-After says.', {
    retryAfterSeconds: Math.max(1, waitMs / 1000),
  });
