import { type CompactRange, createCompactRange } from './compact-range';
import { leafHash } from './hashes';
import { type Head, type LogKey, openHead, verifierKeyOf } from './note';
import { isConsistent } from './proofs';

/** The format of an export: a line of JSON for the header, then one for each entry. */
export const EXPORT_FORMAT = 'orion audit export v1';

/** First line of an export. Hashes are base64. */
export interface ExportHeader {
  format: typeof EXPORT_FORMAT;
  /** The newest head of the log, as a signed note. */
  head: string;
  /** The public key of the log, for people. `verify` uses the key that it is given. */
  key: string;
  /** Number of the first entry, and of the first one that is not exported. */
  from: number;
  to: number;
  /** Roots of the complete subtrees before the first entry. */
  before: string[];
  /** Proof that the tree of the first `to` entries is the beginning of the tree of the head. */
  consistency: string[];
}

/** An entry in an export. Without `event`, the event was deleted, and only its leaf remains. */
export interface ExportedEntry {
  seq: number;
  /** base64. */
  salt: string;
  leaf: string;
  /** The text that was sealed. */
  event: string | null;
}

export interface VerifyOptions {
  key: LogKey;
  /** A head from elsewhere, as a signed note: from an agent, or from an earlier time. */
  witnessed?: string | undefined;
  /** A deleted event is a fault. */
  complete?: boolean | undefined;
}

export interface Verified {
  head: Head;
  from: number;
  to: number;
  /** Entries whose event was deleted. */
  withoutEvent: number;
  /** The head from elsewhere. */
  witnessed: Head | undefined;
}

/** The export does not prove what it should. `seq`: the first bad entry, if one is known. */
export class VerifyError extends Error {
  override name = 'VerifyError';
  constructor(
    message: string,
    readonly seq?: number,
  ) {
    super(message);
  }
}

interface Progress {
  header: ExportHeader;
  head: Head;
  witnessed: Head | undefined;
  tree: CompactRange;
  withoutEvent: number;
  isWitnessMet: boolean;
}

/** Verifies an export, line by line. Memory does not depend on the number of lines. Throws VerifyError at the first fault. */
export async function verifyExport(lines: AsyncIterable<string>, options: VerifyOptions): Promise<Verified> {
  let progress: Progress | undefined;
  for await (const line of lines) {
    if (progress === undefined) {
      progress = begin(parseLine(line) as ExportHeader, options);
      meetWitness(progress);
    } else {
      take(progress, parseLine(line) as ExportedEntry, options.complete === true);
      meetWitness(progress);
    }
  }
  if (!progress) {
    throw new VerifyError('The file is empty.');
  }
  return finish(progress);
}

function begin(header: ExportHeader, { key, witnessed: note }: VerifyOptions): Progress {
  const { format, from, to, before } = header;
  if ((format as string) !== EXPORT_FORMAT || !Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || to < from) {
    throw new VerifyError(`The first line is not the header of an "${EXPORT_FORMAT}".`);
  }
  const head = openHead(header.head, key);
  if (!head) {
    throw new VerifyError(`The head of the export is not signed by the key ${verifierKeyOf(key)}.`);
  }
  const witnessed = note === undefined ? undefined : openHead(note, key);
  if (note !== undefined && !witnessed) {
    throw new VerifyError(`The given head is not signed by the key ${verifierKeyOf(key)}.`);
  }
  return { header, head, witnessed, tree: createCompactRange(from, before.map(fromBase64)), withoutEvent: 0, isWitnessMet: false };
}

/** Adds an entry to the tree, after comparing it with its leaf. */
function take(progress: Progress, { seq, salt, leaf, event }: ExportedEntry, complete: boolean): void {
  const { tree, header } = progress;
  if (seq !== tree.size() || seq >= header.to) {
    throw new VerifyError(`Entry ${tree.size()} is missing: the line in its place has the number ${String(seq)}.`, tree.size());
  }
  const stored = fromBase64(leaf);
  if (event === null) {
    progress.withoutEvent += 1;
  }
  if (event === null && complete) {
    throw new VerifyError(`The event of entry ${seq} was deleted.`, seq);
  }
  if (event !== null && !leafHash(fromBase64(salt), event).equals(stored)) {
    throw new VerifyError(`The event of entry ${seq} is not the one that was sealed.`, seq);
  }
  tree.append(stored);
}

/** Compares the tree with the head from elsewhere when it has the size of that head. */
function meetWitness(progress: Progress): void {
  const { witnessed, tree } = progress;
  if (witnessed?.size !== tree.size()) {
    return;
  }
  progress.isWitnessMet = true;
  if (!tree.root().equals(witnessed.root)) {
    throw new VerifyError(`The first ${witnessed.size} entries are not those of the given head. ${between(progress, witnessed.size)}`);
  }
}

function finish(progress: Progress): Verified {
  const {
    header: { from, to, consistency },
    head,
    tree,
    witnessed,
    withoutEvent,
  } = progress;
  if (tree.size() !== to) {
    throw new VerifyError(`Entry ${tree.size()} is missing: the export ends before it.`, tree.size());
  }
  if (witnessed && witnessed.size > head.size) {
    throw new VerifyError(
      `Entry ${head.size} is missing: the given head has ${witnessed.size} entries, and the log has ${head.size}. ` +
        'If the export is older than the head, export again.',
      head.size,
    );
  }
  if (!isConsistent({ size: to, root: tree.root() }, head, consistency.map(fromBase64))) {
    throw new VerifyError(`The entries are not those of the signed head. ${between(progress, to)}`);
  }
  if (witnessed && !progress.isWitnessMet) {
    throw new VerifyError(`The given head has ${witnessed.size} entries: export a range from there or before, up to there or later.`);
  }
  return { head, from, to, withoutEvent, witnessed };
}

function between({ header, witnessed, isWitnessMet }: Progress, to: number): string {
  const from = isWitnessMet && witnessed && witnessed.size < to ? witnessed.size : header.from;
  return `The first bad entry is between ${from} and ${Math.max(0, to - 1)}, or before the export.`;
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    throw new VerifyError('A line of the file is not JSON.');
  }
}

const fromBase64 = (text: unknown): Buffer => Buffer.from(typeof text === 'string' ? text : '', 'base64');
