import { execute, IN_SECONDS, selectFirst } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { claimDue, renewClaim, type WorkQueue } from '../../../db/work-queue';
import type { Cause } from '../../../lib/origin';
import { formatUidRange, type UidRange } from '../../../lib/uid-range';
import type { NotExamined } from '../shared-storage';
import type { Node, NodeCheck } from '../types';
import { NODE_COLUMNS, type NodeRow, toNode } from './row';
import { ownRangeOf, UID_COLUMNS, type UidRow, uidsFrom } from './uids';

/** A dirty node that is claimed for a wipe. */
export interface ClaimedWipe {
  node: Node;
  token: string;
  /** The highest uid that an account on the node may have: there was no placement with a higher uid yet. */
  newestUid: number;
  /** The act that made the node dirty. */
  cause: Cause;
}

type DueRow = NodeRow & { next_uid: number; wipe_traceparent: string | null; wipe_request_id: string | null };

/** Dirty nodes that can be reached and have no lease. */
export const WIPES: WorkQueue = { table: 'nodes', key: 'id', dueAt: 'wipe_due_at', token: 'wipe_token' };

/** Claims up to `limit` nodes that are due for a wipe, for `claimSeconds`. Only vacant, reachable nodes are ever due. */
export async function claimDueWipes(tx: Tx, limit: number, claimSeconds: number): Promise<ClaimedWipe[]> {
  const columns = `${NODE_COLUMNS}, next_uid, wipe_traceparent, wipe_request_id`;
  const { rows, token } = await claimDue<DueRow>(tx, WIPES, { columns, limit, claimSeconds });
  return rows.map(({ next_uid: nextUid, wipe_traceparent: traceparent, wipe_request_id: requestId, ...row }) => ({
    node: toNode(row),
    token,
    newestUid: nextUid - 1,
    cause: { traceparent, requestId },
  }));
}

/** Renews the claim of a wipe. False: the claim was lost; stop, and change nothing. */
export const renewWipe = (db: Db, { node, token }: ClaimedWipe, claimSeconds: number): Promise<boolean> =>
  renewClaim(db, WIPES, { id: node.id, token, claimSeconds });

export interface VerifiedWipe {
  /** The node's fencing token, as the node reports it: the highest uid ever wiped on the machine. */
  fence: number;
  /** The fleet's range of uids, for machines without a range of their own. */
  fleet: UidRange;
  notExamined: NotExamined[];
  /** New results of checks. Empty: no new check was needed. */
  checks: readonly NodeCheck[];
  /** Returns why the machine cannot be leased although it is clean; null: it can. */
  withheld: (policy: { sharedStorage: Node['sharedStorage'] }) => string | null;
  /** Seconds until the next wipe of a withheld node, which checks it again. */
  againSeconds: number;
}

/**
 * Completes a verified wipe: the node is clean, and has uids left for its next lease. A machine that was in a fleet before has a fencing
 * token already. Its uids continue from there, or the node would refuse them as stale. A node that is withheld stays dirty, and due.
 *
 * @returns undefined: the claim was lost, or a lease got onto the node; nothing changed. Else why the node is withheld, or null
 */
export async function completeWipe(tx: Tx, { node, token }: ClaimedWipe, wiped: VerifiedWipe): Promise<string | null | undefined> {
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
  const withheld =
    (wiped.withheld({ sharedStorage: row.shared_storage }) ?? (uids ? null : reasonForNoUid(row, wiped)))?.slice(0, 500) ?? null;
  await execute(
    tx,
    `UPDATE nodes SET dirty = ?, withheld_reason = ?, not_examined = ?, next_uid = ?, uid_end = ?,
            withheld_looks = IF(?, withheld_looks + 1, 0), checks = COALESCE(?, checks), checked_at = IF(?, UTC_TIMESTAMP(3), checked_at), wipe_token = NULL, wipe_failures = 0, wiped_at = UTC_TIMESTAMP(3),
            wipe_due_at = IF(?, ${IN_SECONDS}, NULL)
      WHERE id = ?`,
    [
      withheld !== null,
      withheld,
      JSON.stringify(wiped.notExamined),
      uids?.nextUid ?? row.next_uid,
      uids ? uids.uidEnd : row.uid_end,
      withheld !== null,
      checks.length > 0 ? JSON.stringify(checks) : null,
      checks.length > 0,
      withheld !== null,
      wiped.againSeconds,
      node.id,
    ],
  );
  return withheld;
}

function reasonForNoUid(row: UidRow, { fleet, fence }: VerifiedWipe): string {
  const own = ownRangeOf(row);
  const whose = own
    ? 'the range that the machine asks for (ORION_UID_RANGE)'
    : 'the range of the fleet (ORION_UID_RANGE of the control plane)';
  const behind = fence > 0 ? `, behind uid ${fence}, up to which accounts were wiped there` : '';
  return `no uid is left for it in ${whose}, ${formatUidRange(own ?? fleet)}${behind}; set a larger range`;
}

/** Fails the claim of a wipe: the wipe is tried again after `retrySeconds`. False: the claim was lost. */
export async function failWipe(tx: Tx, { node, token }: ClaimedWipe, retrySeconds: number): Promise<boolean> {
  const changed = await execute(
    tx,
    `UPDATE nodes SET wipe_failures = wipe_failures + 1, wipe_token = NULL, wipe_due_at = ${IN_SECONDS} WHERE id = ? AND wipe_token = ?`,
    [retrySeconds, node.id, token],
  );
  return changed === 1;
}

/** Ends the claim of a wipe that must continue after `afterSeconds`, which is no failure. False: the claim was lost. */
export async function endUnfinishedWipe(tx: Tx, { node, token }: ClaimedWipe, afterSeconds: number): Promise<boolean> {
  const changed = await execute(tx, `UPDATE nodes SET wipe_token = NULL, wipe_due_at = ${IN_SECONDS} WHERE id = ? AND wipe_token = ?`, [
    afterSeconds,
    node.id,
    token,
  ]);
  return changed === 1;
}
