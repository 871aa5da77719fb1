import type { Knex } from 'knex';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { createLoop } from '../../lib/loop';
import { findUsersOfTokens, type Principal } from '../../modules/accounts';

/** A stream is authenticated once and stays open for hours. This judges the right to it again every 5 s. */
export interface WatchRights {
  /**
   * Calls `end` once when the token is over or revoked, or its user disabled or of another role, at most 5 s later; for the token's expiry never later.
   * @returns what ends the judging
   */
  judge(principal: Principal, end: () => void): () => void;
  start(): void;
  stop(): Promise<void>;
}

const INTERVAL_SECONDS = 5;
/** In one statement. */
const BATCH = 100;

/** Sends one statement for each hundred watchers. While the database does not answer, no stream ends, and the feed sends no news either. */
export function createWatchRights({ db, clock, logger }: { db: Knex; clock: Clock; logger: Logger }): WatchRights {
  const watchers = new Map<() => void, Principal>();
  const judgeBatch = async (batch: [() => void, Principal][]): Promise<void> => {
    // A token that is over before the next look is over now.
    const tokens = batch.map(([, { user, token }]) => ({ ...token, userId: user.id, expiresAtSeconds: token.expiresAtSeconds - INTERVAL_SECONDS }));
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
