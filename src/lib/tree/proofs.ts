import { joinHashes, nodeHash } from './hashes';

/** A complete subtree: the leaves from `index * 2 ** level`, `2 ** level` in number. */
export interface Subtree {
  level: number;
  index: number;
}

/** Leaves from `start` up to `end`, which is not included. */
type Span = readonly [start: number, end: number];

/** Returns the hashes of these subtrees, in the same order. */
export type ReadSubtrees = (subtrees: readonly Subtree[]) => Promise<Buffer[]>;

/**
 * Lists the complete subtrees that cover the leaves from `start` up to `end`. `start` must be 0, or the first leaf of a subtree in a tree.
 */
export function subtreesOf(start: number, end: number): Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = start; at < end;) {
    const level = Math.floor(Math.log2(end - at));
    subtrees.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return subtrees;
}

/** Reads the proof that the tree of `from` leaves is the beginning of the tree of `to` leaves (RFC 6962, section 2.1.2). */
export const readConsistencyProof = ({ from, to }: { from: number; to: number }, read: ReadSubtrees): Promise<Buffer[]> =>
  readSpans(from === 0 ? [] : consistencySpans(from, [0, to], true), read);

/** Reads the proof that the leaf `index` is in the tree of `size` leaves (RFC 6962, section 2.1.1). */
export const readInclusionProof = ({ index, size }: { index: number; size: number }, read: ReadSubtrees): Promise<Buffer[]> =>
  readSpans(inclusionSpans(index, [0, size]), read);

async function readSpans(spans: readonly Span[], read: ReadSubtrees): Promise<Buffer[]> {
  const parts = spans.map((span) => subtreesOf(...span));
  const hashes = await read(parts.flat());
  let at = 0;
  return parts.map(({ length }) => joinHashes(hashes.slice(at, (at += length))));
}

function consistencySpans(from: number, [start, end]: Span, isWhole: boolean): Span[] {
  const size = end - start;
  if (from === size) {
    return isWhole ? [] : [[start, end]];
  }
  const left = leftSize(size);
  return from <= left
    ? [...consistencySpans(from, [start, start + left], isWhole), [start + left, end]]
    : [...consistencySpans(from - left, [start + left, end], false), [start, start + left]];
}

function inclusionSpans(index: number, [start, end]: Span): Span[] {
  if (end - start === 1) {
    return [];
  }
  const left = leftSize(end - start);
  return index < left
    ? [...inclusionSpans(index, [start, start + left]), [start + left, end]]
    : [...inclusionSpans(index - left, [start + left, end]), [start, start + left]];
}

/** Size of the left subtree: the largest power of two below `size`, which is at least 2. */
function leftSize(size: number): number {
  const power = 2 ** Math.floor(Math.log2(size));
  return power === size ? power / 2 : power;
}

export interface TreeRoot {
  size: number;
  root: Buffer;
}

/** Whether the proof shows that the tree `from` is the beginning of the tree `to`. The empty tree is the beginning of each tree. */
export function isConsistent(from: TreeRoot, to: TreeRoot, proof: readonly Buffer[]): boolean {
  if (from.size > to.size) {
    return false;
  }
  if (from.size === 0) {
    return proof.length === 0;
  }
  const rest = [...proof];
  const rebuild = (part: number, size: number, isWhole: boolean): [before: Buffer, after: Buffer] | undefined => {
    if (part === size) {
      const hash = isWhole ? from.root : rest.shift();
      return hash && [hash, hash];
    }
    const left = leftSize(size);
    const inner = part <= left ? rebuild(part, left, isWhole) : rebuild(part - left, size - left, false);
    const other = inner && rest.shift();
    if (!other) {
      return undefined;
    }
    const [before, after] = inner;
    return part <= left ? [before, nodeHash(after, other)] : [nodeHash(other, before), nodeHash(other, after)];
  };
  const [before, after] = rebuild(from.size, to.size, true) ?? [];
  return rest.length === 0 && before?.equals(from.root) === true && after?.equals(to.root) === true;
}

/** Whether the proof shows that the leaf is number `index` of the tree. */
export function isIncluded({ leaf, index }: { leaf: Buffer; index: number }, { size, root }: TreeRoot, proof: readonly Buffer[]): boolean {
  const rest = [...proof];
  const rebuild = (at: number, width: number): Buffer | undefined => {
    if (width === 1) {
      return leaf;
    }
    const left = leftSize(width);
    const inner = at < left ? rebuild(at, left) : rebuild(at - left, width - left);
    const other = inner && rest.shift();
    return other && (at < left ? nodeHash(inner, other) : nodeHash(other, inner));
  };
  return index < size && rebuild(index, size)?.equals(root) === true && rest.length === 0;
}
