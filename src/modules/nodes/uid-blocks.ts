import type { UidRange } from '../../lib/uid-range';

/** Number of uids in a block. Nodes get uids in whole blocks, and the first uid of a block is a multiple of this number. */
export const BLOCK = 64;
/** A node with fewer uids left gets a new block when it is wiped. One lease may use up several uids if the machine refuses some of them. */
const SPARE = 16;
/**
 * Uids are divided into stretches of this length. A block that must start in a later stretch than the next block of its pool goes into a
 * pool of that stretch. Otherwise one machine could use up the fleet's range.
 */
const STRETCH = 2 ** 20;
/** The pool of the fleet's range. The pool of a machine's own range is the first uid of that range. */
export const FLEET_POOL = 0;

/** Returns the first uid of the first block that starts at or above `number`. */
export const blockFrom = (number: number): number => Math.ceil(number / BLOCK) * BLOCK;

export interface UidsOfNode {
  nextUid: number;
  /** The end of the node's block, exclusive; null: the node has no block yet. */
  uidEnd: number | null;
}

/** Returns whether a node needs a new block before it takes leases with uids from `next` on. Pure. */
export function needsBlock({ uidEnd }: UidsOfNode, next: number, { first, last }: UidRange): boolean {
  return uidEnd === null || uidEnd - next < SPARE || uidEnd - BLOCK < first || uidEnd - 1 > last;
}

export interface Place {
  pool: number;
  /** The first uid of the lowest block to try. */
  from: number;
}

/**
 * Returns the pool of a block that must start at or above `above`, and the lowest block to try. Pure.
 *
 * @param next first uid of the pool's next block
 */
export function placeOf({ pool, next, above }: { pool: number; next: number; above: number }): Place {
  const from = Math.max(next, blockFrom(above));
  const stretch = Math.floor(from / STRETCH);
  return stretch === Math.floor(next / STRETCH) ? { pool, from } : { pool: stretch * STRETCH, from };
}
