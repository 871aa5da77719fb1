import { execute, marks, rowsOf, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import { type CompactRange, createCompactRange } from '../../../lib/tree/compact-range';
import { HASH_BYTES, leafHash } from '../../../lib/tree/hashes';
import { type ReadSubtrees, type Subtree, subtreesOf } from '../../../lib/tree/proofs';
import { SEALED_COLUMNS, SEALED_FORMAT, type SealedRow, sealedText } from '../sealed-event';

/** An entry of the sealed log. `event`: the text that was sealed. Null: the event was deleted, because it was old. */
export interface Entry {
  seq: number;
  eventId: number;
  salt: Buffer;
  leaf: Buffer;
  event: string | null;
}

/** A new entry, and the roots of the subtrees that it completes. */
interface NewEntry extends Omit<Entry, 'event'> {
  nodes: Buffer[];
}

const EVENT = `${SEALED_COLUMNS.map((column) => `e.${column}`).join(', ')}, CAST(e.data AS CHAR) AS data`;

/** Makes the entry of an event, and appends it to the tree. */
export function makeEntry(range: CompactRange, event: SealedRow, salt: Buffer): NewEntry {
  const [seq, leaf] = [range.size(), leafHash(salt, sealedText(event))];
  return { seq, eventId: event.id, salt, leaf, nodes: range.append(leaf) };
}

export async function countEntries(db: Db): Promise<number> {
  const last = await selectFirst<{ seq: number }>(db, 'SELECT seq FROM audit_entries ORDER BY seq DESC LIMIT 1');
  return last ? last.seq + 1 : 0;
}

/** Reads the tree of the first `size` entries. */
export async function readTree(db: Db, size: number): Promise<CompactRange> {
  return createCompactRange(size, await readSubtrees(db)(subtreesOf(0, size)));
}

/** Returns a reader of the roots of complete subtrees. Each is in the row of its last leaf. */
export const readSubtrees =
  (db: Db): ReadSubtrees =>
  async (subtrees) => {
    if (subtrees.length === 0) {
      return [];
    }
    const seqs = subtrees.map(lastLeafOf);
    const rows = await selectRows<{ seq: number; leaf: Buffer; nodes: Buffer }>(
      db,
      `SELECT seq, leaf, nodes FROM audit_entries WHERE seq IN (${marks(seqs)})`,
      seqs,
    );
    const bySeq = new Map(rows.map((row) => [row.seq, row]));
    return subtrees.map((subtree) => {
      const { leaf, nodes } = bySeq.get(lastLeafOf(subtree)) ?? missing(subtree);
      const hash = subtree.level === 0 ? leaf : nodes.subarray((subtree.level - 1) * HASH_BYTES, subtree.level * HASH_BYTES);
      return hash.length === HASH_BYTES ? hash : missing(subtree);
    });
  };

const lastLeafOf = ({ level, index }: Subtree): number => (index + 1) * 2 ** level - 1;

function missing(subtree: Subtree): never {
  throw new Error(`the sealed audit log was changed: entry ${lastLeafOf(subtree)} is missing or damaged`);
}

/** Ids follow the times of events, except that events recorded at once may be this far out of order. */
const OUT_OF_ORDER = 1_000;

/**
 * Finds the lowest id that may belong to an event whose transaction committed late: events recorded up to `seconds` before the newest
 * sealed event. Ids are given out at the INSERT, so an event with a lower id may become visible after one with a higher id was sealed.
 */
export async function findFirstUncertain(db: Db, seconds: number): Promise<number> {
  const newest = await selectFirst<{ id: number | null }>(db, 'SELECT MAX(event_id) AS id FROM audit_entries');
  const newestId = newest?.id ?? 0;
  const last = await selectFirst<{ at: Date }>(db, 'SELECT at FROM events WHERE id <= ? ORDER BY id DESC LIMIT 1', [newestId]);
  const first =
    last &&
    (await selectFirst<{ id: number }>(db, 'SELECT id FROM events WHERE at >= ? - INTERVAL ? SECOND ORDER BY at, id LIMIT 1', [
      last.at,
      seconds,
    ]));
  return Math.max(0, Math.min(first?.id ?? newestId, newestId) - OUT_OF_ORDER);
}

/** Lists committed events from `firstId` on that have no entry, in the order of their ids. */
export async function listUnsealed(db: Db, firstId: number, limit: number): Promise<SealedRow[]> {
  return selectRows(
    db,
    `SELECT ${EVENT} FROM events e LEFT JOIN audit_entries a ON a.event_id = e.id
      WHERE e.id >= ? AND a.event_id IS NULL ORDER BY e.id LIMIT ?`,
    [firstId, limit],
  );
}

/** Writes entries. Fails with a duplicate key when another process has sealed since the tree was read. */
export async function insertEntries(db: Db, entries: readonly NewEntry[]): Promise<void> {
  await execute(
    db,
    `INSERT INTO audit_entries (seq, event_id, format, salt, leaf, nodes) VALUES ${rowsOf(entries, '(?, ?, ?, ?, ?, ?)')}`,
    entries.flatMap(({ seq, eventId, salt, leaf, nodes }) => [seq, eventId, SEALED_FORMAT, salt, leaf, Buffer.concat(nodes)]),
  );
}

/** Lists the entries from `from` up to `to`, which is not included. */
export async function listEntries(db: Db, { from, to }: { from: number; to: number }): Promise<Entry[]> {
  type Row = Omit<Entry, 'event'> & { format: number } & (SealedRow | { id: null });
  const rows = await selectRows<Row>(
    db,
    `SELECT a.seq, a.event_id AS eventId, a.format, a.salt, a.leaf, ${EVENT} FROM audit_entries a LEFT JOIN events e ON e.id = a.event_id
      WHERE a.seq >= ? AND a.seq < ? ORDER BY a.seq`,
    [from, to],
  );
  return rows.map((row) => ({ ...row, event: row.id === null ? null : textIn(row.format, row) }));
}

function textIn(format: number, row: SealedRow): string {
  if (format !== SEALED_FORMAT) {
    throw new Error(`a newer release sealed the event ${row.id}, in the format ${format}`);
  }
  return sealedText(row);
}
