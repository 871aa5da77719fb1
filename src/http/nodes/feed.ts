import type { Knex } from 'knex';
import { createLoop, type Loop, type PassResult } from '../../lib/loop';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { findLastEventId, listNodeEventsAfter, type RecordedEvent } from '../../modules/audit';
import { findNodes, type Node } from '../../modules/nodes';

/** Told of nodes that changed, as they are now. */
export type NodeWatcher = (changed: Node[]) => void;

/**
 * One reader a replica follows the events and tells every watcher which nodes changed: the cost does not grow with the number of watchers. It
 * follows them without watchers too, so that the first one misses nothing between its snapshot and the next reading.
 */
export interface NodeFeed {
  watch(watcher: NodeWatcher): () => void;
  start(): void;
  stop(): Promise<void>;
}

const INTERVAL_MS = 1_000;
const BATCH = 1_000;
/** Ids are given out before commit: how far back the reader looks again, and so how late a commit may come without being missed. */
const LOOK_BACK = 200;

export function createNodeFeed({ db, clock, logger }: { db: Knex; clock: Clock; logger: Logger }): NodeFeed {
  const watchers = new Set<NodeWatcher>();
  let cursor: number | undefined;
  let seen = new Set<number>();

  const read = async (): Promise<RecordedEvent[]> => {
    const beginning = cursor === undefined;
    cursor ??= await findLastEventId(db);
    const events = await listNodeEventsAfter(db, Math.max(0, cursor - LOOK_BACK), BATCH);
    const fresh = beginning ? [] : events.filter(({ id }) => !seen.has(id));
    seen = new Set(events.map(({ id }) => id));
    cursor = Math.max(cursor, ...seen);
    return fresh;
  };

  const pass = async (): Promise<PassResult> => {
    const fresh = await read();
    const ids = [...new Set(fresh.flatMap(({ nodeId }) => (nodeId === null ? [] : [nodeId])))];
    if (ids.length > 0 && watchers.size > 0) {
      const nodes = await findNodes(db, ids);
      watchers.forEach((watcher) => watcher(nodes));
    }
    return fresh.length >= BATCH - LOOK_BACK ? 'more' : 'done';
  };

  const loop: Loop = createLoop({ name: 'node-feed', intervalMs: INTERVAL_MS, clock, logger, pass });
  return {
    watch: (watcher) => {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    start: () => loop.start(),
    stop: () => loop.stop(),
  };
}
