import { selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Requirements } from '../types';
import type { UseBand } from '../use';
import { CLAIMED_COLUMNS, type ClaimedNode, type ClaimedRow, toClaimedNode } from './claimed-row';
import { LEASABLE, requirementsSql } from './requirements';

/** A position in the order in which free nodes are tried. */
export interface Position {
  fit: number;
  band: UseBand;
  id: number;
}

export interface FreeNodesSearch {
  wanted: Requirements;
  limit: number;
  /** Searches only nodes after this position; null: all nodes. */
  after: Position | null;
}

const FLAPPED = 'last_death_at > UTC_TIMESTAMP(3) - INTERVAL 1 HOUR';

/**
 * Locks up to `limit` free nodes that satisfy `wanted` for this transaction, the best first. Nodes that died within the last hour come
 * last. Then the tightest fit comes first (best-fit bin packing), then the least used node, then the lowest id. The search waits for no
 * row: it skips nodes that other transactions have locked. Nodes that this transaction has locked already are returned again. The caller
 * must mark the nodes as occupied (occupyNodes) in the same transaction.
 */
export async function lockFreeNodes(tx: Tx, search: FreeNodesSearch): Promise<ClaimedNode[]> {
  return withFlapped(tx, search, await lockReliableNodes(tx, search));
}

/** Locks the nodes that did not die within the last hour. This is the first half of lockFreeNodes, in one statement, for a batch. */
export const lockReliableNodes = (tx: Tx, search: FreeNodesSearch): Promise<ClaimedNode[]> =>
  lockInOrder(tx, search, `(last_death_at IS NULL OR NOT ${FLAPPED})`);

/**
 * Locks nodes that died within the last hour and adds them, if a search from the start found too few. This is the second half of
 * lockFreeNodes.
 */
export async function withFlapped(tx: Tx, search: FreeNodesSearch, reliable: ClaimedNode[]): Promise<ClaimedNode[]> {
  if (reliable.length === search.limit || search.after) {
    return reliable;
  }
  return [...reliable, ...(await lockInOrder(tx, { ...search, limit: search.limit - reliable.length }, FLAPPED))];
}

async function lockInOrder(tx: Tx, { wanted, limit, after }: FreeNodesSearch, which: string): Promise<ClaimedNode[]> {
  const { sql, bindings } = requirementsSql(wanted);
  const behind = after ? 'AND (fit > ? OR (fit = ? AND (use_band > ? OR (use_band = ? AND id > ?))))' : '';
  const rows = await selectRows<ClaimedRow>(
    tx,
    // The index is forced: otherwise the server may use the index on `leasable` alone, and scan all nodes that were claimed before the
    // position.
    `SELECT ${CLAIMED_COLUMNS} FROM nodes FORCE INDEX (nodes_claim) WHERE ${LEASABLE} AND ${sql} ${behind} AND ${which} ORDER BY fit, use_band, id LIMIT ? FOR UPDATE SKIP LOCKED`,
    [...bindings, ...(after ? [after.fit, after.fit, after.band, after.band, after.id] : []), limit],
  );
  return rows.map(toClaimedNode);
}

export type FreeNode =
  | { found: 'one'; node: ClaimedNode }
  | { found: 'none' }
  /** A node is free, but another transaction is claiming it at this moment: try again. */
  | { found: 'busy' };

/** Claims the best free node for one lease (see lockFreeNodes). */
export async function claimFreeNode(tx: Tx, wanted: Requirements): Promise<FreeNode> {
  const [node] = await lockFreeNodes(tx, { wanted, limit: 1, after: null });
  if (node) {
    return { found: 'one', node };
  }
  return { found: (await countFreeNodes(tx, wanted, 1)) > 0 ? 'busy' : 'none' };
}

/** Counts the free nodes that satisfy `wanted`, up to `limit`. Nodes that other transactions are claiming now count as free. */
export async function countFreeNodes(db: Db, wanted: Requirements, limit: number): Promise<number> {
  const { sql, bindings } = requirementsSql(wanted);
  const rows = await selectRows<{ id: number }>(
    db,
    `SELECT id FROM nodes FORCE INDEX (nodes_claim) WHERE ${LEASABLE} AND ${sql} ORDER BY fit, use_band, id LIMIT ?`,
    [...bindings, limit],
  );
  return rows.length;
}
