import { execute, selectFirst } from '../../../db/sql';
import { isDuplicate, type Tx } from '../../../db/transaction';
import type { UidRange } from '../../../lib/uid-range';
import { BLOCK, blockFrom, FLEET_POOL, placeOf } from '../uid-blocks';

export interface BlockWish {
  nodeId: number;
  /** The machine's own range, or null: the fleet's. */
  own: UidRange | null;
  fleet: UidRange;
  /** The block begins at or above this number. */
  above: number;
}

/**
 * Gives a node a block of uids that no node had before, and returns the block's first uid; null: the range has none left. If transactions
 * want the same block at once, the first one gets it and the others wait until it ends. So the caller's transaction must be short.
 */
export async function giveBlock(tx: Tx, { nodeId, own, fleet, above }: BlockWish): Promise<number | null> {
  const range = own ?? fleet;
  const pool = own ? own.first : FLEET_POOL;
  const place = placeOf({ pool, next: await nextOf(tx, pool, range), above });
  let from = place.pool === pool ? place.from : Math.max(place.from, await nextOf(tx, place.pool, range));
  while (from + BLOCK - 1 <= range.last) {
    if (await insertBlock(tx, { first: from, pool: place.pool, nodeId })) {
      return from;
    }
    from = await gapFrom(tx, from);
  }
  return null;
}

/** Returns the first uid of the pool's next block within the range. */
async function nextOf(tx: Tx, pool: number, { first, last }: UidRange): Promise<number> {
  const row = await selectFirst<{ last: number | null }>(
    tx,
    'SELECT MAX(first) AS last FROM uid_blocks WHERE pool = ? AND first BETWEEN ? AND ?',
    [pool, first, last],
  );
  return typeof row?.last === 'number' ? row.last + BLOCK : blockFrom(first);
}

/** Inserts the block. False: a node has had it before. */
async function insertBlock(tx: Tx, { first, pool, nodeId }: { first: number; pool: number; nodeId: number }): Promise<boolean> {
  try {
    await execute(tx, 'INSERT INTO uid_blocks (first, pool, node_id) VALUES (?, ?, ?)', [first, pool, nodeId]);
    return true;
  } catch (error) {
    if (isDuplicate(error)) {
      return false;
    }
    throw error;
  }
}

/** Returns the first uid of the first block above `given` that no node has had. The block at `given` is taken. */
async function gapFrom(tx: Tx, given: number): Promise<number> {
  const row = await selectFirst<{ first: number }>(
    tx,
    `SELECT b.first + ${BLOCK} AS first FROM uid_blocks b
      WHERE b.first >= ? AND NOT EXISTS (SELECT 1 FROM uid_blocks n WHERE n.first = b.first + ${BLOCK}) ORDER BY b.first LIMIT 1`,
    [given],
  );
  return row?.first ?? given + BLOCK;
}
