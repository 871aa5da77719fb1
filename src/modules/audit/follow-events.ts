import type { EventMark } from './queries/events';

/** Reads events; see queries/events. */
export interface EventSource {
  findLastId(): Promise<number>;
  listAfter(afterId: number, limit: number): Promise<EventMark[]>;
  find(ids: readonly number[]): Promise<EventMark[]>;
}

/** Returns each event once, also an event whose transaction commits after events with higher ids. */
export interface EventFollower {
  /** Returns the events since the last call; the first call returns none. `more`: there are more events already. */
  next(): Promise<{ events: EventMark[]; more: boolean }>;
}

const BATCH = 1_000;
/** No transaction takes longer from its event to its commit; an id that is missing for longer was rolled back. */
const GAP_MS = 60_000;
const MAX_GAPS = 5_000;

/**
 * Creates a follower that finds late events. Ids are given out in order, but transactions commit in any order: the highest id alone would
 * miss events that come late. So the follower also remembers the ids that it skipped, and looks for them until they appear or are too old.
 * It costs nothing while nothing happens.
 */
export function createEventFollower(source: EventSource, monotonicMs: () => number): EventFollower {
  const gaps = new Map<number, number>();
  let lastId: number | undefined;

  const pass = (events: readonly EventMark[], from: number): number => {
    let last = from;
    for (const { id } of events) {
      for (let missing = Math.max(last + 1, id - MAX_GAPS); missing < id; missing += 1) {
        gaps.set(missing, monotonicMs());
      }
      last = id;
    }
    return last;
  };
  const closeGaps = async (): Promise<EventMark[]> => {
    const late = await source.find([...gaps.keys()]);
    late.forEach(({ id }) => gaps.delete(id));
    const excess = gaps.size - MAX_GAPS;
    [...gaps].forEach(([id, since], nth) => {
      if (nth < excess || monotonicMs() - since > GAP_MS) {
        gaps.delete(id);
      }
    });
    return late;
  };
  const begin = async (): Promise<number> => {
    const from = Math.max(0, (await source.findLastId()) - BATCH);
    return pass(await source.listAfter(from, BATCH), from);
  };

  return {
    next: async () => {
      if (lastId === undefined) {
        lastId = await begin();
        return { events: [], more: false };
      }
      const late = await closeGaps();
      const fresh = await source.listAfter(lastId, BATCH);
      lastId = pass(fresh, lastId);
      return { events: [...late, ...fresh], more: fresh.length === BATCH };
    },
  };
}
