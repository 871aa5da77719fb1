import type { Knex } from 'knex';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { createLoop } from '../../lib/loop';
import { findUsersOfTokens, type Principal } from '../../modules/accounts';

/** Checks every 5 s whether each stream may continue. A stream is authenticated once and stays open for hours. */
export interface WatchRights {
  /**
   * Calls `end` once when the token expires or is revoked, or when its user is disabled or gets another role. The call comes at most 5 s
   * later, and for an expiry never later.
   * @returns a function that ends the checks
   */
  judge(principal: Principal, end: () => void): () => void;
  start(): void;
  stop(): Promise<void>;
}

const INTERVAL_SECONDS = 5;
/** Watchers that one statement checks. */
const BATCH = 100;

/**
 * Creates the checks. They send one statement per 100 watchers. While the database does not answer, no stream ends, and the feed sends no
 * changes either.
 */
export function createWatchRights({ db, clock, logger }: { db: Knex; clock: Clock; logger: Logger }): WatchRights {
  const watchers = new Map<() => void, Principal>();
  const judgeBatch = async (batch: [() => void, Principal][]): Promise<void> => {
    // A token that expires before the next check counts as expired now.
    const tokens = batch.map(([, { user, token }]) => ({
      ...token,
      userId: user.id,
      expiresAtSeconds: token.expiresAtSeconds - INTERVAL_SECONDS,
    }));
    const users = await findUsersOfTokens(db, tokens);
    batch.forEach(([end, { user }], at) => {
      if (users[at]?.role !== user.role && watchers.delete(end)) {
        end();
      }
    });
  };
  const loop = createLoop({
    name: 'watch-rights',
    intervalMs: INTERVAL_SECONDS * 1000,
    clock,
    logger,
    pass: async () => {
      const all = [...watchers];
      for (let from = 0; from < all.length; from += BATCH) {
        await judgeBatch(all.slice(from, from + BATCH));
      }
      return 'done';
    },
  });
  return {
    judge: (principal, end) => {
      watchers.set(end, principal);
      return () => void watchers.delete(end);
    },
    start: () => loop.start(),
    stop: () => loop.stop(),
  };
}
