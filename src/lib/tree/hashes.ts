import { createHash } from 'node:crypto';

/** Length of a hash in bytes. */
export const HASH_BYTES = 32;

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

/** Hash of a leaf with this content (RFC 6962, section 2.1). The content may come in parts. */
export function leafHash(...content: (Buffer | string)[]): Buffer {
  const hash = createHash('sha256').update(LEAF);
  content.forEach((part) => hash.update(part));
  return hash.digest();
}

/** Hash of the node above two subtrees. */
export const nodeHash = (left: Buffer, right: Buffer): Buffer => createHash('sha256').update(NODE).update(left).update(right).digest();

/** Root of the tree without leaves. */
export const EMPTY_ROOT = createHash('sha256').digest();

/** Hash above neighbouring subtrees, of which each is larger than all that follow it together. There must be at least one. */
export function joinHashes(hashes: readonly Buffer[]): Buffer {
  const joined = hashes.reduceRight<Buffer | undefined>((right, left) => (right ? nodeHash(left, right) : left), undefined);
  if (!joined) {
    throw new Error('there is no hash to join');
  }
  return joined;
}
