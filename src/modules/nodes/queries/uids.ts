import { execute, selectFirst } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';
import type { UidRange } from '../../../lib/uid-range';
import { BLOCK, needsBlock, type UidsOfNode } from '../uid-blocks';
import { giveBlock } from './uid-blocks';

export interface UidRow {
  next_uid: number;
  uid_end: number | null;
  uid_range_first: number | null;
  uid_range_last: number | null;
}

export const UID_COLUMNS = 'next_uid, uid_end, uid_range_first, uid_range_last';

/** The machine's own range; null: it uses the fleet's. */
export const ownRangeOf = ({
  uid_range_first: first,
  uid_range_last: last,
}: Pick<UidRow, 'uid_range_first' | 'uid_range_last'>): UidRange | null => (first === null || last === null ? null : { first, last });

/**
 * Returns the uids of a node from `least` on. They come from its block, or from a new block if that has too few left or lies outside the
 * range. The caller has locked the node's row, and writes the result there. Null: the range has no uid left that the machine would accept.
 */
export async function uidsFrom(
  tx: Tx,
  { nodeId, row, fleet, least }: { nodeId: number; row: UidRow; fleet: UidRange; least: number },
): Promise<UidsOfNode | null> {
  const own = ownRangeOf(row);
  const next = Math.max(row.next_uid, least);
  if (!needsBlock({ nextUid: row.next_uid, uidEnd: row.uid_end }, next, own ?? fleet)) {
    return { nextUid: next, uidEnd: row.uid_end };
  }
  const newest = await selectFirst<{ uid: number | null }>(tx, 'SELECT MAX(uid) AS uid FROM placements WHERE node_id = ?', [nodeId]);
  const first = await giveBlock(tx, { nodeId, own, fleet, above: Math.max(least, (newest?.uid ?? 0) + 1) });
  return first === null ? null : { nextUid: first, uidEnd: first + BLOCK };
}

/**
 * Allocates the next uid of a node at or above `least`. Null: none is left. The caller has locked the node's lease; this function locks the
 * node's row.
 */
export async function takeUid(
  tx: Tx,
  { nodeId, fleet, least }: { nodeId: number; fleet: UidRange; least: number },
): Promise<number | null> {
  const row = await selectFirst<UidRow>(tx, `SELECT ${UID_COLUMNS} FROM nodes WHERE id = ? FOR UPDATE`, [nodeId]);
  if (!row) {
    return null;
  }
  // Here a block is used up to its end: the spare uids are for this.
  const next = Math.max(row.next_uid, least);
  const uids =
    row.uid_end !== null && next < row.uid_end ? { nextUid: next, uidEnd: row.uid_end } : await uidsFrom(tx, { nodeId, row, fleet, least });
  if (uids) {
    await execute(tx, 'UPDATE nodes SET next_uid = ?, uid_end = ? WHERE id = ?', [uids.nextUid + 1, uids.uidEnd, nodeId]);
  }
  return uids?.nextUid ?? null;
}

/** Records why the machine refused so many uids that its lease moved. The next account that is made on the node clears it. */
export async function noteUidRefusal(tx: Tx, nodeId: number, why: string): Promise<void> {
  await execute(tx, 'UPDATE nodes SET uid_refusal = ? WHERE id = ?', [why.slice(0, 500), nodeId]);
}
