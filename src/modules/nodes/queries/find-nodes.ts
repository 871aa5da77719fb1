import { selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Node, NodeStatus } from '../types';
import { SHORT } from '../use';
import { LEASABLE } from './requirements';
import { NODE_COLUMNS, type NodeRow, toNode } from './row';

export async function findNode(db: Db, id: number): Promise<Node | undefined> {
  const row = await selectFirst<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM nodes WHERE id = ?`, [id]);
  return row && toNode(row);
}

/** Reads the node and locks it until the transaction ends. */
export async function lockNode(tx: Tx, id: number): Promise<Node | undefined> {
  const row = await selectFirst<NodeRow>(tx, `SELECT ${NODE_COLUMNS} FROM nodes WHERE id = ? FOR UPDATE`, [id]);
  return row && toNode(row);
}

export async function findNodes(db: Db, ids: number[]): Promise<Node[]> {
  if (ids.length === 0) {
    return [];
  }
  return (await selectRows<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM nodes WHERE id IN (${ids.map(() => '?').join(',')})`, ids)).map(
    toNode,
  );
}

/** Finds the node with this host key. It finds no retired node, because retiring frees the host key. */
export async function findNodeByHostKey(db: Db, fingerprint: string): Promise<Node | undefined> {
  const row = await selectFirst<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM nodes WHERE host_key_fingerprint = ?`, [fingerprint]);
  return row && toNode(row);
}

/** Finds the node with this host key, as `findNodeByHostKey` does, and locks it until the transaction ends. */
export async function lockNodeByHostKey(tx: Tx, fingerprint: string): Promise<Node | undefined> {
  const row = await selectFirst<NodeRow>(tx, `SELECT ${NODE_COLUMNS} FROM nodes WHERE host_key_fingerprint = ? FOR UPDATE`, [fingerprint]);
  return row && toNode(row);
}

export interface NodeFilter {
  /** Lists only nodes that this user may see: free nodes, and nodes that the user's leases occupy. Undefined: all nodes. */
  visibleToUserId?: number;
  status?: NodeStatus;
  /** Lists only ids above this one. */
  afterId: number;
  limit: number;
}

/** Returns a page of nodes, ordered by id. It reads a small multiple of the rows that it returns, however large the fleet is. */
export async function listNodes(db: Db, { visibleToUserId, status, afterId, limit }: NodeFilter): Promise<Node[]> {
  if (visibleToUserId !== undefined) {
    return listVisibleNodes(db, { userId: visibleToUserId, status, afterId, limit });
  }
  // The index is forced: otherwise the server scans the primary key, across nodes of other statuses.
  const [from, bindings] = status === undefined ? ['nodes WHERE', []] : ['nodes FORCE INDEX (nodes_status) WHERE status = ? AND', [status]];
  return (
    await selectRows<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM ${from} id > ? ORDER BY id LIMIT ?`, [...bindings, afterId, limit])
  ).map(toNode);
}

interface VisibleFilter {
  userId: number;
  status: NodeStatus | undefined;
  afterId: number;
  limit: number;
}

/**
 * Returns a page of free nodes and of the user's nodes. A single condition for both would scan the nodes of all other users. Two lists,
 * each by its own index, do not. No node is in both lists.
 */
async function listVisibleNodes(db: Db, { userId, status, afterId, limit }: VisibleFilter): Promise<Node[]> {
  const mine = status === undefined ? '' : 'JOIN nodes ON nodes.id = occupied_node_id AND nodes.status = ?';
  const lists = [
    // Free nodes are alive.
    ...(status === undefined || status === 'alive' ? [{ sql: FREE_IDS, bindings: [afterId, limit] }] : []),
    {
      sql: `(SELECT occupied_node_id AS node_id FROM leases FORCE INDEX (leases_user_node) ${mine} WHERE user_id = ? AND occupied_node_id > ? ORDER BY occupied_node_id LIMIT ?)`,
      bindings: [...(status === undefined ? [] : [status]), userId, afterId, limit],
    },
  ];
  const rows = await selectRows<NodeRow>(
    db,
    `SELECT ${NODE_COLUMNS} FROM (${lists.map(({ sql }) => sql).join(' UNION ALL ')}) AS visible JOIN nodes ON nodes.id = visible.node_id ORDER BY visible.node_id LIMIT ?`,
    [...lists.flatMap(({ bindings }) => bindings), limit],
  );
  return rows.map(toNode);
}

const FREE_IDS = `(SELECT id AS node_id FROM nodes FORCE INDEX (nodes_free) WHERE ${LEASABLE} AND id > ? ORDER BY id LIMIT ?)`;

/** Returns a page of the nodes that anybody may lease, ordered by id. */
export async function listFreeNodes(db: Db, { afterId, limit }: Pick<NodeFilter, 'afterId' | 'limit'>): Promise<Node[]> {
  return (
    await selectRows<NodeRow>(
      db,
      `SELECT ${NODE_COLUMNS} FROM ${FREE_IDS} AS free JOIN nodes ON nodes.id = free.node_id ORDER BY free.node_id`,
      [afterId, limit],
    )
  ).map(toNode);
}

/** Lists the nodes that the user's leases occupy. The quota bounds their number. */
export async function listNodesOfUser(db: Db, userId: number): Promise<Node[]> {
  const sql = `SELECT ${NODE_COLUMNS} FROM nodes WHERE id IN (SELECT occupied_node_id FROM leases WHERE user_id = ? AND occupied_node_id IS NOT NULL) ORDER BY id`;
  return (await selectRows<NodeRow>(db, sql, [userId])).map(toNode);
}

/** Counts nodes by status and flags, for metrics. It reads every row: 60 ms at 100,000 nodes, once per scrape. */
export async function countNodes(
  db: Db,
): Promise<{ status: string; drained: number; dirty: number; occupied: number; short: number; count: number }[]> {
  return selectRows(
    db,
    `SELECT status, drained, dirty, lease_id IS NOT NULL AS occupied, use_band = ${SHORT} AS short, COUNT(*) AS count FROM nodes GROUP BY status, drained, dirty, occupied, short`,
  );
}
