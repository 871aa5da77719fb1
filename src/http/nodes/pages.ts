import type { Knex } from 'knex';
import { coalesce } from '../../lib/coalesce';
import { listFreeNodes, listNodes, listNodesOfUser, type Node } from '../../modules/nodes';
import { presentNode, presentNodeForAdmin } from './presenter';

/** A part of a snapshot. */
interface SnapshotPage {
  /** JSON of the list, without its brackets. */
  items: Buffer;
  /** Undefined: this page is the last. */
  nextAfterId: number | undefined;
}

export type ReadPage = (afterId: number) => Promise<SnapshotPage>;

/** Reads the pages of snapshots. Watchers that need the same page at the same time share one query and one buffer. */
export interface SnapshotPages {
  all: ReadPage;
  free: ReadPage;
  /** Returns all nodes that this user's leases occupy, in one page. */
  ofUser(userId: number): Promise<SnapshotPage>;
}

const PAGE = 500;

export function createSnapshotPages(db: Knex): SnapshotPages {
  return {
    all: coalesce(async (afterId: number) => toPage(await listNodes(db, { afterId, limit: PAGE }), presentNodeForAdmin)),
    free: coalesce(async (afterId: number) =>
      toPage(await listFreeNodes(db, { afterId, limit: PAGE }), (node) => presentNode(node, false)),
    ),
    ofUser: async (userId) => ({ ...toPage(await listNodesOfUser(db, userId), (node) => presentNode(node, true)), nextAfterId: undefined }),
  };
}

const toPage = (nodes: Node[], present: (node: Node) => unknown): SnapshotPage => ({
  items: Buffer.from(nodes.map((node) => JSON.stringify(present(node))).join(',')),
  nextAfterId: nodes.length < PAGE ? undefined : nodes.at(-1)?.id,
});
