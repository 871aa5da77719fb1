import type { Db } from '../../db/transaction';
import { type Clock, withDeadline } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { currentOrigin, withOrigin } from '../../lib/origin';
import { recordEvents } from './queries/events';
import { ANONYMOUS, type NewEvent } from './types';

/** A call that Orion refused. */
export interface Refusal extends Pick<NewEvent, 'actor' | 'userId' | 'origin'> {
  type: 'access.refused' | 'user.login_failed';
  /** Refusals of one type and kind are counted together. */
  kind: string;
  data: Record<string, unknown>;
}

/** Records refusals, so that a flood of them does not fill the audit log. */
export interface RefusalLog {
  /** Resolves when the event is written, or the refusal counted. Never rejects. */
  note(refusal: Refusal): Promise<void>;
  /** Writes what was counted, without waiting for the end of the minute. */
  flush(): Promise<void>;
}

interface Counted {
  refusal: Refusal;
  /** Refusals since the one that was written. */
  more: number;
}

const MINUTE_MS = 60_000;
/** Kinds of one replica in a minute. Further kinds are counted together: a caller may send any number of different names. */
const MAX_KINDS = 100;
/** A refusal does not wait longer for the database. */
const DEADLINE_MS = 2_000;

/**
 * Writes the first refusal of each kind at once. Counts the following ones, and writes them as one event with their `count` when the minute
 * is over. A process that is killed loses the counts of its minute, but no first refusal.
 */
export function createRefusalLog({
  db,
  clock,
  logger,
}: {
  db: Db;
  clock: Pick<Clock, 'after'>;
  logger: Pick<Logger, 'error'>;
}): RefusalLog {
  let minute = new Map<string, Counted>();
  let stopWaiting: (() => void) | undefined;
  const write = async (events: NewEvent[]): Promise<void> => {
    try {
      await withDeadline(DEADLINE_MS, () => recordEvents(db, events));
    } catch (error) {
      logger.error('refusals not recorded', { events: events.map(({ type, actor, data }) => ({ type, actor, ...data })), error });
    }
  };
  const flush = async (): Promise<void> => {
    stopWaiting?.();
    stopWaiting = undefined;
    const repeated = [...minute.values()].filter(({ more }) => more > 0);
    minute = new Map();
    if (repeated.length > 0) {
      await write(repeated.map(({ refusal, more }) => toEvent(refusal, more)));
    }
  };
  return {
    note: async (given) => {
      const refusal = minute.size < MAX_KINDS || minute.has(keyOf(given)) ? given : withoutKind(given);
      const counted = minute.get(keyOf(refusal));
      if (counted) {
        counted.more += 1;
        return;
      }
      minute.set(keyOf(refusal), { refusal: { ...refusal, origin: refusal.origin ?? currentOrigin() }, more: 0 });
      stopWaiting ??= withOrigin(null, () => clock.after(MINUTE_MS, () => void flush()));
      await write([toEvent(refusal, 1)]);
    },
    flush,
  };
}

const keyOf = ({ type, kind }: Refusal): string => `${type} ${kind}`;

const withoutKind = ({ type }: Refusal): Refusal => ({
  type,
  kind: '',
  actor: ANONYMOUS,
  data: { note: `callers beyond the first ${MAX_KINDS} of this minute` },
});

const toEvent = ({ type, actor, userId, origin, data }: Refusal, count: number): NewEvent => ({
  type,
  actor,
  userId,
  origin,
  data: { ...data, count },
});
