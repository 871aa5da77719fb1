import type { Clock } from '../../lib/clock';
import type { StoredHead } from './queries/heads';

/**
 * Returns the newest head, at most a second old, so that heartbeats cost no query each. `atLeast`: reads again if the known head has fewer
 * entries.
 */
type NewestHead = (atLeast: number) => Promise<StoredHead | undefined>;

const FRESH_MS = 1_000;

export function createHeadCache(find: () => Promise<StoredHead | undefined>, clock: Pick<Clock, 'monotonicMs'>): NewestHead {
  let head: StoredHead | undefined;
  let readAtMs = -Infinity;
  let reading: Promise<void> | undefined;
  const read = async (): Promise<void> => {
    const startedAtMs = clock.monotonicMs();
    head = await find();
    readAtMs = startedAtMs;
  };
  return async (atLeast) => {
    if (clock.monotonicMs() - readAtMs > FRESH_MS || (head?.size ?? 0) < atLeast) {
      await (reading ??= read().finally(() => (reading = undefined)));
    }
    return head;
  };
}
