import type { Knex } from 'knex';
import { createLoop, type Loop, type PassResult } from '../../lib/loop';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { createEventFollower, findEvents, findLastEventId, listEventsAfter } from '../../modules/audit';
import { findOwners } from '../../modules/leases';
import { findNodes } from '../../modules/nodes';
import { createNews } from './news';
import { createSnapshotPages, type SnapshotPages } from './pages';
import { createWatchRights, type WatchRights } from './watch-rights';
import { createWatchers, type NodeWatcher } from './watchers';

/**
 * Sends changes of the fleet to the watchers of a replica. One reader per replica follows the events, and reads the changed nodes and the
 * users of their leases. So the load of the database does not grow with the number of watchers. The reader also runs without watchers, so
 * that the first watcher misses nothing between its snapshot and the next pass.
 */
export interface NodeFeed {
  pages: SnapshotPages;
  rights: WatchRights;
  /**
   * Adds a watcher. Throws too_many_requests or unavailable (see Watchers).
   * @returns a function that removes the watcher
   */
  watch(userId: number, watcher: NodeWatcher): () => void;
  start(): void;
  stop(): Promise<void>;
}

const INTERVAL_MS = 1_000;

export function createNodeFeed({ db, clock, logger }: { db: Knex; clock: Clock; logger: Logger }): NodeFeed {
  const watchers = createWatchers(clock);
  const follower = createEventFollower(
    {
      findLastId: () => findLastEventId(db),
      listAfter: (afterId, limit) => listEventsAfter(db, afterId, limit),
      find: (ids) => findEvents(db, ids),
    },
    () => clock.monotonicMs(),
  );

  const tell = async (nodeIds: number[]): Promise<void> => {
    const nodes = await findNodes(db, nodeIds);
    const found = new Set(nodes.map(({ id }) => id));
    const owners = await findOwners(
      db,
      nodes.flatMap(({ leaseId }) => (leaseId === null ? [] : [leaseId])),
    );
    watchers.tell(createNews({ nodes, removed: nodeIds.filter((id) => !found.has(id)), owners }));
  };
  const pass = async (): Promise<PassResult> => {
    const { events, more } = await follower.next();
    const ids = [...new Set(events.flatMap(({ nodeId }) => (nodeId === null ? [] : [nodeId])))];
    if (ids.length > 0 && watchers.size > 0) {
      await tell(ids);
    }
    return more ? 'more' : 'done';
  };

  const rights = createWatchRights({ db, clock, logger });
  const loop: Loop = createLoop({ name: 'node-feed', intervalMs: INTERVAL_MS, clock, logger, pass });
  return {
    pages: createSnapshotPages(db),
    rights,
    watch: (userId, watcher) => watchers.add(userId, watcher),
    start: () => {
      loop.start();
      rights.start();
    },
    stop: async () => {
      await Promise.all([loop.stop(), rights.stop()]);
    },
  };
}
