import { RateLimiterMemory } from 'rate-limiter-flexible';
import { rangesOf } from '../../lib/address-key';

/** Counts connections that ended without a login, by the ranges of the caller's address. */
export interface Failures {
  count(address: string): void;
  /** True: the gateway refuses this address for the rest of the minute. */
  tooMany(address: string): Promise<boolean>;
}

/** Failures of one address per minute. */
const MAX_FAILURES = 30;

export function createFailures(): Failures {
  const counter = new RateLimiterMemory({ points: MAX_FAILURES, duration: 60 });
  return {
    count: (address) => rangesOf(address).forEach(({ key }) => void counter.consume(key).catch(() => undefined)),
    tooMany: async (address) => {
      const counts = await Promise.all(
        rangesOf(address).map(async ({ key, share }) => ((await counter.get(key))?.consumedPoints ?? 0) > MAX_FAILURES * share),
      );
      return counts.includes(true);
    },
  };
}
