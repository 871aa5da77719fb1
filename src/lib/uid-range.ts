/** Uids for the accounts of leases, both ends included. */
export interface UidRange {
  first: number;
  last: number;
}

/** Programs on nodes accept no uid below MIN_UID (uids of people begin there) and none above MAX_UID. */
const MIN_UID = 1_000;
export const MAX_UID = 2_000_000_000;
/** Nodes get uids in blocks of 64. A range of this size contains at least one whole block, wherever it begins. */
const MIN_UIDS = 128;
export const UID_RANGE_RULE = `must be first-last with at least ${MIN_UIDS} numbers from ${MIN_UID} to ${MAX_UID}`;

/** Parses `70000-79999`. Undefined for any other text, and for a range that is too small or out of bounds. */
export function parseUidRange(text: string): UidRange | undefined {
  const [, first, last] = /^(\d{1,10})-(\d{1,10})$/.exec(text.trim()) ?? [];
  const range = { first: Number(first), last: Number(last) };
  const isOne = range.first >= MIN_UID && range.last <= MAX_UID && range.last - range.first + 1 >= MIN_UIDS;
  return isOne ? range : undefined;
}

export const formatUidRange = ({ first, last }: UidRange): string => `${first}-${last}`;
