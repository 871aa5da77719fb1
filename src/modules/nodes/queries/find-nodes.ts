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

/** The node, locked until the transaction ends. */
export async function lockNode(tx: Tx, id: number): Promise<Node | undefined> {
  const row = await selectFirst<NodeRow>(tx, `SELECT ${NODE_COLUMNS} FROM nodes WHERE id = ? FOR UPDATE`, [id]);
  return row && toNode(row);
}

export async function findNodes(db: Db, ids: number[]): Promise<Node[]> {
  if (ids.length === 0) {
    return [];
  }
  return (await selectRows<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM nodes WHERE id IN (${ids.map(() => '?').join(',')})`, ids)).map(toNode);
}

/** The node that shows this host key; retired ones have given theirs back. */
export async function findNodeByHostKey(db: Db, fingerprint: string): Promise<Node | undefined> {
  const row = await selectFirst<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM nodes WHERE host_key_fingerprint = ?`, [fingerprint]);
  return row && toNode(row);
}

/** The node that shows this host key; retired ones have given theirs back. Locked. */
export async function lockNodeByHostKey(tx: Tx, fingerprint: string): Promise<Node | undefined> {
  const row = await selectFirst<NodeRow>(tx, `SELECT ${NODE_COLUMNS} FROM nodes WHERE host_key_fingerprint = ? FOR UPDATE`, [fingerprint]);
  return row && toNode(row);
}

export interface NodeFilter {
  /** Only what this user may see: free nodes and those that the user's leases occupy. Undefined: all. */
  visibleToUserId?: number;
  status?: NodeStatus;
  /** Ids above this one. */
  afterId: number;
  limit: number;
}

/** A page, by id. It reads as many rows as it gives, a few times over, however large the fleet is. */
export async function listNodes(db: Db, { visibleToUserId, status, afterId, limit }: NodeFilter): Promise<Node[]> {
  if (visibleToUserId !== undefined) {
    return listVisibleNodes(db, { userId: visibleToUserId, status, afterId, limit });
  }
  // The index is named: left to itself the server walks over the nodes of other statuses, by the primary key.
  const [from, bindings] = status === undefined ? ['nodes WHERE', []] : ['nodes FORCE INDEX (nodes_status) WHERE status = ? AND', [status]];
  return (await selectRows<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM ${from} id > ? ORDER BY id LIMIT ?`, [...bindings, afterId, limit])).map(toNode);
}

interface VisibleFilter {
  userId: number;
  status: NodeStatus | undefined;
  afterId: number;
  limit: number;
}

/** "Free or mine" as one condition walks over everybody else's nodes; as two lists, each by its own index, it does not. No node is in both. */
async function listVisibleNodes(db: Db, { userId, status, afterId, limit }: VisibleFilter): Promise<Node[]> {
  const mine = status === undefined ? '' : 'JOIN nodes ON nodes.id = occupied_node_id AND nodes.status = ?';
  const lists = [
    // What is free is alive.
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

/** A page of what anybody may lease, by id. */
export async function listFreeNodes(db: Db, { afterId, limit }: Pick<NodeFilter, 'afterId' | 'limit'>): Promise<Node[]> {
  return (await selectRows<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM ${FREE_IDS} AS free JOIN nodes ON nodes.id = free.node_id ORDER BY free.node_id`, [afterId, limit])).map(toNode);
}

/** Those that the user's leases occupy: as many as the quota lets be. */
export async function listNodesOfUser(db: Db, userId: number): Promise<Node[]> {
  const sql = `SELECT ${NODE_COLUMNS} FROM nodes WHERE id IN (SELECT occupied_node_id FROM leases WHERE user_id = ? AND occupied_node_id IS NOT NULL) ORDER BY id`;
  return (await selectRows<NodeRow>(db, sql, [userId])).map(toNode);
}

/** Nodes by status and flags, for metrics. It looks at every row: 60 ms at 100,000 nodes, once a scrape. */
export async function countNodes(db: Db): Promise<{ status: string; drained: number; dirty: number; occupied: number; short: number; count: number }[]> {
  return selectRows(
    db,
    `SELECT status, drained, dirty, lease_id IS NOT NULL AS occupied, use_band = ${SHORT} AS short, COUNT(*) AS count FROM nodes GROUP BY status, drained, dirty, occupied, short`,
  );
}
