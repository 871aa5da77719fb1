import {
  EXPORT_FORMAT,
  type ExportedEntry,
  type ExportHeader,
  verifyExport,
  type VerifyOptions,
  type Verified,
} from '../../src/lib/tree/export';
import { createCompactRange } from '../../src/lib/tree/compact-range';
import { leafHash } from '../../src/lib/tree/hashes';
import { signHead, verifierKeyOf } from '../../src/lib/tree/note';
import type { LogSigner } from './log-key';
import { readConsistencyProof, type ReadSubtrees, subtreesOf } from '../../src/lib/tree/proofs';

/** A sealed log in memory. */
export interface MemoryLog {
  events: string[];
  salts: Buffer[];
}

export const aLog = (size: number): MemoryLog => ({
  events: Array.from({ length: size }, (_, n) => JSON.stringify({ id: n + 1, type: 'node.alive', data: { n } })),
  salts: Array.from({ length: size }, (_, n) => leafHash(`salt ${n}`).subarray(0, 16)),
});

const leavesOf = ({ events, salts }: MemoryLog): Buffer[] => events.map((event, n) => leafHash(salts[n] ?? '', event));

export function rootOf(log: MemoryLog, size = log.events.length): Buffer {
  const tree = createCompactRange();
  leavesOf(log)
    .slice(0, size)
    .forEach((leaf) => tree.append(leaf));
  return tree.root();
}

export const headOf = (log: MemoryLog, key: LogSigner, size = log.events.length): string =>
  signHead({ size, root: rootOf(log, size), at: new Date('2026-01-31T00:00:00Z') }, key);

export function leavesReader(log: MemoryLog): ReadSubtrees {
  const leaves = leavesOf(log);
  return (subtrees) =>
    Promise.resolve(
      subtrees.map(({ level, index }) => {
        const tree = createCompactRange();
        leaves.slice(index * 2 ** level, (index + 1) * 2 ** level).forEach((leaf) => tree.append(leaf));
        return tree.root();
      }),
    );
}

/** What the server exports of this log. */
export async function exportOf(
  log: MemoryLog,
  key: LogSigner,
  { from = 0, to = log.events.length } = {},
): Promise<[ExportHeader, ...ExportedEntry[]]> {
  const [leaves, read] = [leavesOf(log), leavesReader(log)];
  const base64 = (hashes: Buffer[]): string[] => hashes.map((hash) => hash.toString('base64'));
  const header: ExportHeader = {
    format: EXPORT_FORMAT,
    head: headOf(log, key),
    key: verifierKeyOf(key.publicKey),
    from,
    to,
    before: base64(await read(subtreesOf(0, from))),
    consistency: base64(await readConsistencyProof({ from: to, to: leaves.length }, read)),
  };
  const entries = leaves.map((leaf, seq) => ({
    seq,
    salt: log.salts[seq]?.toString('base64') ?? '',
    leaf: leaf.toString('base64'),
    event: log.events[seq] ?? null,
  }));
  return [header, ...entries.slice(from, to)];
}

async function* linesOf(documents: readonly object[]): AsyncGenerator<string> {
  for (const document of documents) {
    yield await Promise.resolve(JSON.stringify(document));
  }
}

export const verifyDocuments = (documents: readonly object[], options: VerifyOptions): Promise<Verified> =>
  verifyExport(linesOf(documents), options);
