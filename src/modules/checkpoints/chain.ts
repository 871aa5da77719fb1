import type { Archive } from './types';

/** Maximum number of archives of changes after a full one, because a restore extracts all of them one after the other. */
const MAX_INCREMENTS = 24;

export interface Plan {
  /** The archive since which changes are stored; null: a full archive. */
  base: Archive | null;
  /** Maximum size of the new archive. */
  roomBytes: number;
}

export const bytesOf = (archives: Archive[]): number => archives.reduce((sum, { bytes }) => sum + bytes, 0);

export const planFull = (maxBytes: number): Plan => ({ base: null, roomBytes: maxBytes });

/**
 * Plans the next archive. It is a full one in these cases:
 *
 * - There is none yet.
 * - The lease moved since: the new node has no state of the old one.
 * - MAX_INCREMENTS is reached, or the changes outgrew the full archive.
 * - No room is left beside the existing archives.
 *
 * Pure.
 */
export function planNext(archives: Archive[], { generation, maxBytes }: { generation: number; maxBytes: number }): Plan {
  const [full, ...increments] = archives;
  const base = archives.at(-1);
  const roomBytes = maxBytes - bytesOf(archives);
  const mustBeFull =
    !full || base?.generation !== generation || increments.length >= MAX_INCREMENTS || bytesOf(increments) > full.bytes || roomBytes <= 0;
  return mustBeFull ? planFull(maxBytes) : { base, roomBytes };
}

/** Returns the archives that a restore needs once `next` is stored. A full archive replaces all before it. Pure. */
export const chainWith = (archives: Archive[], next: Archive): Archive[] => (next.full ? [next] : [...archives, next]);

/** The name of an archive, on the node and in the store. */
export const nameOf = ({ number, full }: Pick<Archive, 'number' | 'full'>): string =>
  `${String(number).padStart(10, '0')}-${full ? 'full' : 'changes'}`;

/**
 * Chooses the names of a lease's archives that can be removed: written under the claim `number` or an earlier one, and not in `chain`.
 * Archives of later claims belong to another process, because the caller may have been frozen for an hour. Pure.
 */
export function planTidying(names: string[], { number, chain }: { number: number; chain: Archive[] }): string[] {
  const kept = new Set(chain.map(nameOf));
  return names.filter((name) => !kept.has(name) && Number.parseInt(name, 10) <= number);
}
