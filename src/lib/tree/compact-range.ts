import { EMPTY_ROOT, joinHashes, nodeHash } from './hashes';

/** A tree to which leaves are appended. It stores only the roots of its complete subtrees: 20 hashes for a million leaves. */
export interface CompactRange {
  size(): number;
  /** Appends a leaf. Returns the roots of the subtrees that it completes, from the smallest (2 leaves) to the largest. */
  append(leaf: Buffer): Buffer[];
  root(): Buffer;
}

/** Creates a tree of `size` leaves. `hashes`: the roots of its complete subtrees, as `subtreesOf(0, size)` lists them. */
export function createCompactRange(size = 0, hashes: readonly Buffer[] = []): CompactRange {
  const stack = [...hashes];
  let count = size;
  return {
    size: () => count,
    append: (leaf) => {
      const completed: Buffer[] = [];
      let hash = leaf;
      for (let rest = count; rest % 2 === 1; rest = Math.floor(rest / 2)) {
        hash = nodeHash(stack.pop() ?? raise(count), hash);
        completed.push(hash);
      }
      stack.push(hash);
      count += 1;
      return completed;
    },
    root: () => (count === 0 ? EMPTY_ROOT : joinHashes(stack)),
  };
}

function raise(size: number): never {
  throw new Error(`the hashes do not belong to a tree of ${size} leaves`);
}
