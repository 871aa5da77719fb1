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
 * The claim of a group: locks up to `limit` free nodes that satisfy `wanted` for this transaction, the best first (as rankCandidates has it:
 * those that flapped lately last, then the tightest fit, then the least used). Waits for no row: what others hold is passed over. What this transaction holds
 * already is given again.
 */
export async function lockFreeNodes(tx: Tx, search: FreeNodesSearch): Promise<ClaimedNode[]> {
  const reliable = await lockInOrder(tx, search, `(last_death_at IS NULL OR NOT ${FLAPPED})`);
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

/** Ids of up to `limit` free nodes that satisfy `wanted`, whoever may be claiming them at this moment. */
export async function listFreeNodeIds(db: Db, wanted: Requirements, limit: number): Promise<number[]> {
  const { sql, bindings } = requirementsSql(wanted);
  const rows = await selectRows<{ id: number }>(db, `SELECT id FROM nodes FORCE INDEX (nodes_claim) WHERE ${LEASABLE} AND ${sql} ORDER BY fit, use_band, id LIMIT ?`, [...bindings, limit]);
  return rows.map(({ id }) => id);
}
