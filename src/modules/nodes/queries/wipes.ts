import { execute, IN_SECONDS, selectFirst } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { claimDue, renewClaim, type WorkQueue } from '../../../db/work-queue';
import { formatUidRange, type UidRange } from '../../../lib/uid-range';
import type { NotExamined } from '../shared-storage';
import type { Node, NodeCheck } from '../types';
import { NODE_COLUMNS, type NodeRow, toNode } from './row';
import { ownRangeOf, UID_COLUMNS, type UidRow, uidsFrom } from './uids';

/** A dirty node taken to be wiped. */
export interface ClaimedWipe {
  node: Node;
  token: string;
  /** The highest uid that an account may have there: there was no placement with a higher one yet. */
  newestUid: number;
}

/** Dirty nodes that can be reached and hold no lease. */
export const WIPES: WorkQueue = { table: 'nodes', key: 'id', dueAt: 'wipe_due_at', token: 'wipe_token' };

/** Claims up to `limit` nodes that are due for a wipe, for `claimSeconds`. Only vacant, reachable nodes are ever due. */
export async function claimDueWipes(tx: Tx, limit: number, claimSeconds: number): Promise<ClaimedWipe[]> {
  const { rows, token } = await claimDue<NodeRow & { next_uid: number }>(tx, WIPES, { columns: `${NODE_COLUMNS}, next_uid`, limit, claimSeconds });
  return rows.map((row) => ({ node: toNode(row), token, newestUid: row.next_uid - 1 }));
}

/** Prolongs a wipe's claim. False: it was lost; stop, change nothing. */
export const renewWipe = (db: Db, { node, token }: ClaimedWipe, claimSeconds: number): Promise<boolean> => renewClaim(db, WIPES, { id: node.id, token, claimSeconds });

export interface VerifiedWipe {
  /** The highest uid ever wiped on the machine, as it says. */
  fence: number;
  /** Where uids come from, unless the machine has a range of its own. */
  fleet: UidRange;
  notExamined: NotExamined[];
  /** None: there was no need to look anew. */
  checks: readonly NodeCheck[];
  /** Why the machine cannot be leased although it is clean; null: it can. */
  withheld: (policy: { sharedStorage: Node['sharedStorage'] }) => string | null;
  /** A node that is not leased is looked at again after so long. */
  againSeconds: number;
}

/**
 * Settles a verified wipe: the node is clean, and has uids left for its next lease. A machine that was in a fleet before has a fence already; the uids given to it go on
 * from there, or the node would refuse them as stale. A node that is withheld stays dirty, and due.
 *
 * @returns undefined: the claim was lost, or a lease got onto the node; nothing changed. Else why the node is withheld, or null
 */
export async function settleWiped(tx: Tx, { node, token }: ClaimedWipe, wiped: VerifiedWipe): Promise<string | null | undefined> {
  const row = await selectFirst<UidRow & { shared_storage: Node['sharedStorage'] }>(
    tx,
    `SELECT ${UID_COLUMNS}, shared_storage FROM nodes WHERE id = ? AND wipe_token = ? AND lease_id IS NULL FOR UPDATE`,
    [node.id, token],
  );
  if (!row) {
    return undefined;
  }
  const uids = await uidsFrom(tx, { nodeId: node.id, row, fleet: wiped.fleet, least: wiped.fence + 1 });
  const { checks } = wiped;
  const withheld = (wiped.withheld({ sharedStorage: row.shared_storage }) ?? (uids ? null : reasonForNoUid(row, wiped)))?.slice(0, 500) ?? null;
  await execute(
    tx,
    `UPDATE nodes SET dirty = ?, withheld_reason = ?, not_examined = ?, next_uid = ?, uid_end = ?,
            withheld_looks = IF(?, withheld_looks + 1, 0), checks = COALESCE(?, checks), checked_at = IF(?, UTC_TIMESTAMP(3), checked_at), wipe_token = NULL, wipe_failures = 0, wiped_at = UTC_TIMESTAMP(3),
            wipe_due_at = IF(?, ${IN_SECONDS}, NULL)
      WHERE id = ?`,
    [
      withheld !== null, withheld, JSON.stringify(wiped.notExamined), uids?.nextUid ?? row.next_uid, uids ? uids.uidEnd : row.uid_end,
      withheld !== null, checks.length > 0 ? JSON.stringify(checks) : null, checks.length > 0,
      withheld !== null, wiped.againSeconds, node.id,
    ],
  );
  return withheld;
}

function reasonForNoUid(row: UidRow, { fleet, fence }: VerifiedWipe): string {
  const own = ownRangeOf(row);
  const whose = own ? 'the range that the machine asks for (ORION_UID_RANGE)' : 'the range of the fleet (ORION_UID_RANGE of the control plane)';
  const behind = fence > 0 ? `, behind uid ${fence}, up to which accounts were wiped there` : '';
  return `no uid is left for it in ${whose}, ${formatUidRange(own ?? fleet)}${behind}; set a larger range`;
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
