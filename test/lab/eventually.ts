import { messageOf } from '../../src/lib/errors';
import { systemClock } from '../../src/lib/clock';

export interface EventuallyOptions {
  /** The condition, for the error message: "node 3 is dead". */
  what: string;
  timeoutMs?: number;
  everyMs?: number;
}

type Falsy = false | null | undefined | 0 | '';

/**
 * Calls `fn` repeatedly until it returns something truthy, and returns that. An exception counts as "not yet"; the last message is part of
 * the timeout error. Default: 10 s, with a call every 25 ms.
 */
export async function eventually<T>(fn: () => T | Promise<T>, options: EventuallyOptions): Promise<Exclude<T, Falsy>> {
  const { what, timeoutMs = 10_000, everyMs = 25 } = options;
  const deadline = systemClock.monotonicMs() + timeoutMs;
  let last = 'the answer was no';
  for (;;) {
    try {
      const value = await fn();
      if (value) {
        return value as Exclude<T, Falsy>;
      }
      last = 'the answer was no';
    } catch (error) {
      last = messageOf(error);
    }
    if (systemClock.monotonicMs() >= deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what} (${last})`);
    }
    await systemClock.sleep(everyMs);
  }
}
