import type { Clock } from '../../lib/clock';
import { OrionError } from '../../lib/errors';
import { createMemoryReturn } from '../../lib/memory-return';
import type { News } from './news';

export type NodeWatcher = (news: News) => void;

/** The watchers of the fleet at this replica. */
export interface Watchers {
  readonly size: number;
  /**
   * Adds a watcher. Throws too_many_requests when this user has too many watchers, and unavailable when the replica is full.
   * @returns a function that removes the watcher
   */
  add(userId: number, watcher: NodeWatcher): () => void;
  tell(news: News): void;
}

/** Watchers of one user at one replica. Each is a connection that stays open. */
const MAX_OF_USER = 20;
/**
 * Watchers at one replica. Each costs about 22 kB of heap and as much engine memory outside the heap (docs/benchmarks.md). In total, that
 * is about 220 MB of the 512 MB that an API has.
 */
const MAX_WATCHERS = 5_000;
const RETRY_AFTER_SECONDS = 10;

export function createWatchers(clock: Clock, max = MAX_WATCHERS): Watchers {
  const watchers = new Set<NodeWatcher>();
  const ofUser = new Map<number, number>();
  const memory = createMemoryReturn(clock);
  const count = (userId: number, change: 1 | -1): void => {
    const next = (ofUser.get(userId) ?? 0) + change;
    if (next > 0) {
      ofUser.set(userId, next);
    } else {
      ofUser.delete(userId);
    }
  };
  return {
    get size() {
      return watchers.size;
    },
    add: (userId, watcher) => {
      if ((ofUser.get(userId) ?? 0) >= MAX_OF_USER) {
        throw new OrionError('too_many_requests', `You watch the fleet ${MAX_OF_USER} times already. End one of them first.`, {
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        });
      }
      if (watchers.size >= max) {
        throw new OrionError(
          'unavailable',
          'As many watch the fleet as this replica can serve. Try again: another replica may have room.',
          { retryAfterSeconds: RETRY_AFTER_SECONDS },
        );
      }
      watchers.add(watcher);
      count(userId, 1);
      return () => {
        if (watchers.delete(watcher)) {
          count(userId, -1);
          memory.gone();
        }
      };
    },
    tell: (news) => watchers.forEach((watcher) => watcher(news)),
  };
}
