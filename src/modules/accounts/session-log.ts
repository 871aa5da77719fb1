import type { Db } from '../../db/transaction';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { forgetExpiredSessions, noteSessions, type SessionUse } from './queries/sessions';
import type { TokenOfUser } from './types';

/** Records when each token was last used. */
export interface SessionLog {
  /** Notes a use of a valid token, without a query. `caller` is called for the first use of a minute only. */
  note(token: TokenOfUser, caller: () => Pick<SessionUse, 'address' | 'client'>): void;
  /** Writes what was noted, without waiting for the end of the minute. Never rejects. */
  flush(): Promise<void>;
}

const MINUTE_MS = 60_000;
/** Tokens that one replica notes in a minute: about 3 MB. The uses of further tokens are noted a minute later. */
const MAX_TOKENS = 10_000;
const ROWS_OF_A_STATEMENT = 500;

/**
 * Creates the log. Each replica writes its uses once a minute in a few statements, beside the requests. So no request waits for a write,
 * and a time may be a minute old. A process that is killed loses the uses of its minute.
 */
export function createSessionLog({
  db,
  clock,
  logger,
}: {
  db: Db;
  clock: Pick<Clock, 'after' | 'monotonicMs'>;
  logger: Pick<Logger, 'warn'>;
}): SessionLog {
  let minute = new Map<string, Omit<SessionUse, 'ageSeconds'> & { atMs: number }>();
  let stopWaiting: (() => void) | undefined;
  const flush = async (): Promise<void> => {
    stopWaiting?.();
    stopWaiting = undefined;
    const uses = [...minute.values()].map(({ atMs, ...use }) => ({ ...use, ageSeconds: Math.round((clock.monotonicMs() - atMs) / 1000) }));
    minute = new Map();
    try {
      for (let from = 0; from < uses.length; from += ROWS_OF_A_STATEMENT) {
        await noteSessions(db, uses.slice(from, from + ROWS_OF_A_STATEMENT));
      }
      await (uses.length > 0 && forgetExpiredSessions(db));
    } catch (error) {
      logger.warn('uses of sessions not recorded', { sessions: uses.length, error });
    }
  };
  return {
    note: (token, caller) => {
      if (minute.has(token.tokenId) || minute.size >= MAX_TOKENS) {
        return;
      }
      minute.set(token.tokenId, { ...token, ...caller(), atMs: clock.monotonicMs() });
      stopWaiting ??= clock.after(MINUTE_MS, () => void flush());
    },
    flush,
  };
}
