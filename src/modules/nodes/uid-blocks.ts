import type { UidRange } from '../../lib/uid-range';

/** Nodes get uids in blocks of so many; the first number of a block is a multiple of it. */
export const BLOCK = 64;
/** A node with fewer numbers left gets a new block when it is wiped: one lease may use up several, where the machine refuses numbers. */
const SPARE = 16;
/** A block that has to lie further ahead of its sequence than the end of this stretch belongs to a sequence of its own: one machine must not use up the fleet's range. */
const STRETCH = 2 ** 20;
/** The pool of the fleet's range. A machine's own range has its first number for a pool. */
export const FLEET_POOL = 0;

/** The first number of the first block that begins at or above `number`. */
export const blockFrom = (number: number): number => Math.ceil(number / BLOCK) * BLOCK;

export interface UidsOfNode {
  nextUid: number;
  /** Exclusive; null: it has no block yet. */
  uidEnd: number | null;
}

/** Whether a node needs another block before it takes leases whose numbers are `next` and above. Pure. */
export function needsBlock({ uidEnd }: UidsOfNode, next: number, { first, last }: UidRange): boolean {
  return uidEnd === null || uidEnd - next < SPARE || uidEnd - BLOCK < first || uidEnd - 1 > last;
}

export interface Place {
  pool: number;
  /** The first number of a block: the lowest that is to be tried. */
  from: number;
}

/**
 * Where a block belongs that has to begin at or above `above`.
 *
 * @param next where the sequence of the pool goes on
 */
export function placeOf({ pool, next, above }: { pool: number; next: number; above: number }): Place {
  const from = Math.max(next, blockFrom(above));
  const stretch = Math.floor(from / STRETCH);
  return stretch === Math.floor(next / STRETCH) ? { pool, from } : { pool: stretch * STRETCH, from };
}
