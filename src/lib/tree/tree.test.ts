import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createCompactRange } from './compact-range';
import { EMPTY_ROOT, leafHash, nodeHash } from './hashes';
import { isConsistent, isIncluded, readConsistencyProof, readInclusionProof, type ReadSubtrees, subtreesOf } from './proofs';

/** Leaves and roots of the reference implementation of RFC 6962 (certificate-transparency, merkle_tree_test.cc). */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const hex = (hashes: readonly Buffer[]): string[] => hashes.map((hash) => hash.toString('hex'));

/** The tree head as section 2.1 of the RFC defines it. */
function rootByDefinition(leaves: readonly Buffer[]): Buffer {
  if (leaves.length <= 1) {
    return leaves[0] ?? EMPTY_ROOT;
  }
  let left = 1;
  while (left * 2 < leaves.length) {
    left *= 2;
  }
  return nodeHash(rootByDefinition(leaves.slice(0, left)), rootByDefinition(leaves.slice(left)));
}

const readFrom =
  (leaves: readonly Buffer[]): ReadSubtrees =>
  (subtrees) =>
    Promise.resolve(subtrees.map(({ level, index }) => rootByDefinition(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))));

const someLeaves = (count: number): Buffer[] => Array.from({ length: count }, (_, nth) => leafHash(`leaf ${nth}`));
const treeOf = (leaves: readonly Buffer[]): { size: number; root: Buffer } => ({ size: leaves.length, root: rootByDefinition(leaves) });

describe('the tree of RFC 6962', () => {
  it('R41: has the roots of the reference', () => {
    const range = createCompactRange();
    expect(range.root().toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    const roots = LEAVES.map((leaf) => {
      range.append(leafHash(leaf));
      return range.root();
    });
    expect(hex(roots)).toEqual(ROOTS);
  });

  it('R41: has the proofs of the reference', async () => {
    const read = readFrom(LEAVES.map((leaf) => leafHash(leaf)));
    expect(hex(await readInclusionProof({ index: 5, size: 8 }, read))).toEqual([
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(hex(await readConsistencyProof({ from: 6, to: 8 }, read))).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
  });

  it('R41: goes on from its stored subtrees, and lists each subtree that a leaf completes', () => {
    const leaves = someLeaves(70);
    for (let size = 0; size < leaves.length; size += 1) {
      const stored = subtreesOf(0, size).map(({ level, index }) =>
        rootByDefinition(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
      );
      const range = createCompactRange(size, stored);
      const completed = range.append(leaves[size] as Buffer);
      expect(range.root()).toEqual(rootByDefinition(leaves.slice(0, size + 1)));
      expect(completed).toEqual(completed.map((_, nth) => rootByDefinition(leaves.slice(size + 1 - 2 ** (nth + 1), size + 1))));
    }
  });

  it('R41: proves for each two sizes that the smaller tree is the beginning of the larger one', async () => {
    const leaves = someLeaves(40);
    for (let to = 0; to <= leaves.length; to += 1) {
      for (let from = 0; from <= to; from += 1) {
        const proof = await readConsistencyProof({ from, to }, readFrom(leaves));
        expect(isConsistent(treeOf(leaves.slice(0, from)), treeOf(leaves.slice(0, to)), proof)).toBe(true);
      }
    }
  });

  it('R41: proves no other beginning', async () => {
    const property = fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.nat(), fc.nat(), async (to, a, b) => {
      const leaves = someLeaves(to);
      const from = 1 + (a % to);
      const changed = leaves.with(b % from, leafHash('another'));
      const proof = await readConsistencyProof({ from, to }, readFrom(changed));
      expect(isConsistent(treeOf(leaves.slice(0, from)), treeOf(changed), proof)).toBe(false);
      expect(isConsistent(treeOf(leaves.slice(0, from)), treeOf(leaves), [...proof, leafHash('more')])).toBe(false);
    });
    await fc.assert(property);
  });

  it('R41: proves that a leaf is at its place, and no other leaf is', async () => {
    const property = fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.nat(), async (size, nth) => {
      const leaves = someLeaves(size);
      const index = nth % size;
      const proof = await readInclusionProof({ index, size }, readFrom(leaves));
      expect(isIncluded({ leaf: leaves[index] as Buffer, index }, treeOf(leaves), proof)).toBe(true);
      expect(isIncluded({ leaf: leafHash('another'), index }, treeOf(leaves), proof)).toBe(false);
      expect(isIncluded({ leaf: leaves[index] as Buffer, index: size }, treeOf(leaves), proof)).toBe(false);
      expect(isIncluded({ leaf: leaves[index] as Buffer, index }, treeOf(leaves), proof.slice(1))).toBe(proof.length === 0);
    });
    await fc.assert(property);
  });
});
