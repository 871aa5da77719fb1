import { type FileHandle, open, readFile } from 'node:fs/promises';
import { messageOf } from '../../lib/errors';
import { EXPORT_FORMAT, type ExportedEntry, type ExportHeader, type Verified, VerifyError, verifyExport } from '../../lib/tree/export';
import { type LogKey, openHead, parseLogKey } from '../../lib/tree/note';
import { CliError, usageError } from '../errors';
import { EXIT } from '../exit-codes';
import { type CommandContext, type Session, withSession } from '../session';
import { formatTime } from '../text';

/** Prints the newest head of the log and the public key that verifies it. */
export async function showHead(context: CommandContext): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const {
      data: { note, key, at, size },
      text,
    } = await api.call((orion) => orion['/api/audit/head'].GET());
    if (out.json) {
      out.document(text);
      return;
    }
    out.note(`${size} entries, signed at ${formatTime(at)}. The key is ${key}`);
    out.line(note.trimEnd());
  });
}

/** Entries of one request. */
const PAGE = 500;

/** Writes entries as lines of JSON. Reads them page by page, and waits while the reader of the output is busy. */
export async function exportLog(context: CommandContext, { from, to }: { from?: number; to?: number }): Promise<void> {
  await withSession(context, async (session) => {
    const { data: proof } = await session.api.call((orion) => orion['/api/audit/proof'].GET({ params: { query: asQuery({ from, to }) } }));
    const header: ExportHeader = { ...proof, format: EXPORT_FORMAT, head: proof.head.note, key: proof.head.key };
    await write(session, [header]);
    for (let at = proof.from; at < proof.to; at += PAGE) {
      await write(session, await readEntries(session, at, Math.min(PAGE, proof.to - at)));
    }
    session.out.note(`Exported ${proof.to - proof.from} entries.`);
  });
}

/** The server reads numbers from digits, and its types say so of no text. */
const asQuery = (query: object): never => query as never;

async function readEntries({ api }: Session, cursor: number, limit: number): Promise<ExportedEntry[]> {
  const { data } = await api.call((orion) =>
    orion['/api/audit/entries'].GET({ params: { query: asQuery({ cursor: String(cursor), limit }) } }),
  );
  if (data.items.length < limit) {
    const hint = 'Somebody deleted it: compare the log with the head of an agent.';
    throw new CliError(`Entry ${cursor + data.items.length} is missing in the log.`, { hint });
  }
  return data.items;
}

async function write({ io: { stdout } }: Session, lines: readonly object[]): Promise<void> {
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  if (!stdout.write(text) && !stdout.destroyed) {
    await new Promise<void>((resolve) => {
      stdout
        .once('drain', resolve)
        .once('close', resolve)
        .once('error', () => resolve());
    });
  }
}

export interface VerifyOptions {
  key: string;
  head?: string;
  complete?: boolean;
}

/** Verifies an export without a server. Resolves with 0 if it is right, else with 1. */
export async function verifyLog({ out }: CommandContext, file: string, { key, head, complete }: VerifyOptions): Promise<number> {
  const logKey = await readKey(key);
  const options = { key: logKey, witnessed: head === undefined ? undefined : await readHead(head, logKey), complete };
  const handle: FileHandle = await open(file).catch((error: unknown) => cannotRead(file, error));
  try {
    report(out, await verifyExport(handle.readLines(), options));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof VerifyError)) {
      throw error;
    }
    if (out.json) {
      out.document(JSON.stringify({ verified: false, seq: error.seq ?? null, detail: error.message }));
    }
    out.line(error.message);
    return EXIT.failure;
  } finally {
    await handle.close();
  }
}

function report(out: CommandContext['out'], { from, to, withoutEvent, head, witnessed }: Verified): void {
  if (out.json) {
    out.document(
      JSON.stringify({ verified: true, from, to, without_event: withoutEvent, size: head.size, signed_at: head.at.toISOString() }),
    );
  }
  out.line(`${to - from} entries, from ${from} on, are as they were sealed.`);
  out.line(`The head of ${head.size} entries was signed at ${formatTime(head.at.toISOString())}.`);
  if (witnessed) {
    out.line(`They continue the given head of ${witnessed.size} entries, which was signed at ${formatTime(witnessed.at.toISOString())}.`);
  }
  if (withoutEvent > 0) {
    out.line(`${withoutEvent} of them have no event any more: it was deleted. Retention deletes old events; --complete refuses them.`);
  }
}

/** Reads a public key: the key itself, or the name of its file. */
async function readKey(text: string): Promise<LogKey> {
  const key = parseLogKey(text) ?? parseLogKey(await read(text));
  if (key === undefined) {
    throw usageError(`${text} is no public key of an audit log.`, 'Use the key that `orion audit head` shows, or the file audit_key.pub.');
  }
  return key;
}

const NOTES = /^\S+\n\d+\n[^\n]+\n[^\n]+\n\n(?:— [^\n]+\n)+/gm;

/** Reads the head that this key signed from a file with heads of one log or several. */
async function readHead(file: string, key: LogKey): Promise<string> {
  const text = `${(await read(file)).trimEnd()}\n`;
  return text.match(NOTES)?.find((note) => openHead(note, key)) ?? text;
}

const read = (file: string): Promise<string> => readFile(file, 'utf8').catch((error: unknown) => cannotRead(file, error));

function cannotRead(file: string, error: unknown): never {
  throw usageError(`${file} cannot be read: ${messageOf(error)}`);
}
