import type { Archive } from './types';

/** Full archives come at least this often: a restore takes them all, one after the other. */
const MAX_INCREMENTS = 24;

export interface Plan {
  /** What changed since this one is stored; null: all of the home. */
  base: Archive | null;
  /** How large the new archive may become. */
  roomBytes: number;
}

export const bytesOf = (archives: Archive[]): number => archives.reduce((sum, { bytes }) => sum + bytes, 0);

export const planFull = (maxBytes: number): Plan => ({ base: null, roomBytes: maxBytes });

/**
 * What the next archive is made of. A full one when there is none yet, when the lease has moved since (the new node knows nothing of the old
 * one's), after so many increments, when they have outgrown the full one, or when there is no more room beside them. Pure.
 */
export function planNext(archives: Archive[], { generation, maxBytes }: { generation: number; maxBytes: number }): Plan {
  const [full, ...increments] = archives;
  const base = archives.at(-1);
  const roomBytes = maxBytes - bytesOf(archives);
  const mustBeFull =
    !full || base?.generation !== generation || increments.length >= MAX_INCREMENTS || bytesOf(increments) > full.bytes || roomBytes <= 0;
  return mustBeFull ? planFull(maxBytes) : { base, roomBytes };
}

/** What a restore takes once `next` is stored: a full one stands for all before it. Pure. */
export const chainWith = (archives: Archive[], next: Archive): Archive[] => (next.full ? [next] : [...archives, next]);

/** On the node and in the store. */
export const nameOf = ({ number, full }: Pick<Archive, 'number' | 'full'>): string => `${String(number).padStart(10, '0')}-${full ? 'full' : 'changes'}`;

/**
 * Which names of a lease's are of no use: written under the claim `number` or an earlier one, and not in `chain`. Those of later claims are
 * somebody else's: whoever asks may have been frozen for an hour. Pure.
 */
export function planTidying(names: string[], { number, chain }: { number: number; chain: Archive[] }): string[] {
  const kept = new Set(chain.map(nameOf));
  return names.filter((name) => !kept.has(name) && Number.parseInt(name, 10) <= number);
}
