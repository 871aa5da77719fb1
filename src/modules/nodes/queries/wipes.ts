import { execute, IN_SECONDS, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { newClaimToken } from '../../../lib/ids';
import { NODE_COLUMNS, type NodeRow, toNode } from './row';
import type { Node, NodeCheck } from '../types';

/** A dirty node taken to be wiped. */
export interface ClaimedWipe {
  node: Node;
  token: string;
  /** The highest uid that an account may have there: there was no placement with a higher one yet. */
  newestUid: number;
}

/** Claims up to `limit` nodes that are due for a wipe, for `claimSeconds`. Only vacant, reachable nodes are ever due. */
export async function claimDueWipes(tx: Tx, limit: number, claimSeconds: number): Promise<ClaimedWipe[]> {
  const rows = await selectRows<NodeRow & { next_uid: number }>(
    tx,
    `SELECT ${NODE_COLUMNS}, next_uid FROM nodes WHERE wipe_due_at <= UTC_TIMESTAMP(3) ORDER BY wipe_due_at, id LIMIT ? FOR UPDATE SKIP LOCKED`,
    [limit],
  );
  if (rows.length === 0) {
    return [];
  }
  const token = newClaimToken();
  await execute(
    tx,
    `UPDATE nodes SET wipe_token = ?, wipe_due_at = ${IN_SECONDS} WHERE id IN (${rows.map(() => '?').join(',')})`,
    [token, claimSeconds, ...rows.map(({ id }) => id)],
  );
  return rows.map((row) => ({ node: toNode(row), token, newestUid: row.next_uid - 1 }));
}

/** Prolongs a wipe's claim. False: it was lost; stop, change nothing. */
export async function renewWipe(db: Db, { node, token }: ClaimedWipe, claimSeconds: number): Promise<boolean> {
  return (await execute(db, `UPDATE nodes SET wipe_due_at = ${IN_SECONDS} WHERE id = ? AND wipe_token = ?`, [claimSeconds, node.id, token])) === 1;
}

/** What is known of a node after its wipe was verified. */
export interface Wiped {
  /** The highest uid ever wiped on the machine, as it says. */
  fence: number;
  /** None: there was no need to look anew. */
  checks: readonly NodeCheck[];
  /** Null: no check failed. */
  retrySeconds: number | null;
}

/**
 * Settles a verified wipe: the node is clean. A machine that was in a fleet before has a fence already; the uids given to it go on from
 * there, or the node would refuse them as stale. False: the claim was lost, or a lease got onto the node; nothing changed.
 *
 * It stays dirty while it fails a check: no tenant could use it, and it is looked at again after `retrySeconds`.
 */
export async function settleWiped(tx: Tx, { node, token }: ClaimedWipe, { fence, checks, retrySeconds }: Wiped): Promise<boolean> {
  const changed = await execute(
    tx,
    `UPDATE nodes SET dirty = ?, wipe_token = NULL, wipe_due_at = ${IN_SECONDS}, wipe_failures = 0, wiped_at = UTC_TIMESTAMP(3),
            next_uid = GREATEST(next_uid, ?), unfit_looks = IF(?, unfit_looks + 1, 0),
            checks = COALESCE(?, checks), checked_at = IF(?, UTC_TIMESTAMP(3), checked_at)
      WHERE id = ? AND wipe_token = ? AND lease_id IS NULL`,
    [retrySeconds !== null, retrySeconds, fence + 1, retrySeconds !== null, checks.length > 0 ? JSON.stringify(checks) : null, checks.length > 0, node.id, token],
  );
  return changed === 1;
}

/** Settles a failed wipe: tried again after `retrySeconds`. False: the claim was lost. */
export async function settleWipeFailed(tx: Tx, { node, token }: ClaimedWipe, retrySeconds: number): Promise<boolean> {
  const changed = await execute(
    tx,
    `UPDATE nodes SET wipe_failures = wipe_failures + 1, wipe_token = NULL, wipe_due_at = ${IN_SECONDS} WHERE id = ? AND wipe_token = ?`,
    [retrySeconds, node.id, token],
  );
  return changed === 1;
}

/** Settles a wipe that has to go on, which is no failure. False: the claim was lost. */
export async function settleWipeUnfinished(tx: Tx, { node, token }: ClaimedWipe, afterSeconds: number): Promise<boolean> {
  const changed = await execute(tx, `UPDATE nodes SET wipe_token = NULL, wipe_due_at = ${IN_SECONDS} WHERE id = ? AND wipe_token = ?`, [afterSeconds, node.id, token]);
  return changed === 1;
}
