import { selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Requirements } from '../types';
import type { UseBand } from '../use';
import { CLAIMED_COLUMNS, type ClaimedNode, type ClaimedRow, toClaimedNode } from './claimed-row';
import { LEASABLE, requirementsSql } from './requirements';

/** A place in the order in which free nodes are tried. */
export interface Position {
  fit: number;
  band: UseBand;
  id: number;
}

export interface FreeNodesSearch {
  wanted: Requirements;
  limit: number;
  /** Looks only at nodes behind this place; null: at all. */
  after: Position | null;
}

const FLAPPED = 'last_death_at > UTC_TIMESTAMP(3) - INTERVAL 1 HOUR';

/**
 * The claim: locks up to `limit` free nodes that satisfy `wanted` for this transaction, the best first. Nodes that died within the last hour come last; then
 * the tightest fit is first (best-fit bin packing), then the least used, then the lowest id. Waits for no row: nodes that others hold are passed over. Nodes
 * that this transaction holds already are given again. The caller must make them occupied (occupyNodes) in the same transaction.
 */
export async function lockFreeNodes(tx: Tx, search: FreeNodesSearch): Promise<ClaimedNode[]> {
  return withFlapped(tx, search, await lockReliableNodes(tx, search));
}

/** The first half of lockFreeNodes, in one statement, for a batch: locks the nodes that did not die lately. */
export const lockReliableNodes = (tx: Tx, search: FreeNodesSearch): Promise<ClaimedNode[]> =>
  lockInOrder(tx, search, `(last_death_at IS NULL OR NOT ${FLAPPED})`);

/** The second half of lockFreeNodes: where the search found too few from the start, locks nodes that died lately, and adds them. */
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
    // Left to itself the server may take the index by `leasable` alone, and walk over all that was claimed before the place to go on from.
    `SELECT ${CLAIMED_COLUMNS} FROM nodes FORCE INDEX (nodes_claim) WHERE ${LEASABLE} AND ${sql} ${behind} AND ${which} ORDER BY fit, use_band, id LIMIT ? FOR UPDATE SKIP LOCKED`,
    [...bindings, ...(after ? [after.fit, after.fit, after.band, after.band, after.id] : []), limit],
  );
  return rows.map(toClaimedNode);
}

export type FreeNode =
  | { found: 'one'; node: ClaimedNode }
  | { found: 'none' }
  /** One is free, but another transaction is claiming it at this moment: ask again. */
  | { found: 'busy' };

/** Claims the best free node for one lease (see lockFreeNodes). */
export async function claimFreeNode(tx: Tx, wanted: Requirements): Promise<FreeNode> {
  const [node] = await lockFreeNodes(tx, { wanted, limit: 1, after: null });
  if (node) {
    return { found: 'one', node };
  }
  return { found: (await countFreeNodes(tx, wanted, 1)) > 0 ? 'busy' : 'none' };
}

/** The number of free nodes that satisfy `wanted`, with those that other transactions are claiming now; counts up to `limit`. */
export async function countFreeNodes(db: Db, wanted: Requirements, limit: number): Promise<number> {
  const { sql, bindings } = requirementsSql(wanted);
  const rows = await selectRows<{ id: number }>(db, `SELECT id FROM nodes FORCE INDEX (nodes_claim) WHERE ${LEASABLE} AND ${sql} ORDER BY fit, use_band, id LIMIT ?`, [...bindings, limit]);
  return rows.length;
}
