import { selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Node } from '../types';
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

/** The node that holds this credential (by its hash), whatever its status. */
export async function findNodeByCredential(db: Db, credentialHash: string): Promise<Node | undefined> {
  const row = await selectFirst<NodeRow>(db, `SELECT ${NODE_COLUMNS} FROM nodes WHERE credential_hash = ?`, [credentialHash]);
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
  status?: string;
  /** Ids above this one. */
  afterId: number;
  limit: number;
}

export async function listNodes(db: Db, filter: NodeFilter): Promise<Node[]> {
  const conditions = ['id > ?'];
  const bindings: (number | string)[] = [filter.afterId];
  if (filter.visibleToUserId !== undefined) {
    conditions.push('(leasable = 1 OR lease_id IN (SELECT l.id FROM leases l WHERE l.user_id = ?))');
    bindings.push(filter.visibleToUserId);
  }
  if (filter.status !== undefined) {
    conditions.push('status = ?');
    bindings.push(filter.status);
  }
  const sql = `SELECT ${NODE_COLUMNS} FROM nodes WHERE ${conditions.join(' AND ')} ORDER BY id LIMIT ?`;
  return (await selectRows<NodeRow>(db, sql, [...bindings, filter.limit])).map(toNode);
}

/** Nodes by status and flags, for metrics. */
export async function countNodes(db: Db): Promise<{ status: string; drained: number; dirty: number; occupied: number; count: number }[]> {
  return selectRows(
    db,
    `SELECT status, drained, dirty, lease_id IS NOT NULL AS occupied, COUNT(*) AS count FROM nodes GROUP BY status, drained, dirty, occupied`,
  );
}
