import colors from 'picocolors';
import type { CliIo, CliStream } from './io';

export interface OutputOptions {
  json: boolean;
  quiet: boolean;
  color: boolean;
}

type Colors = ReturnType<typeof colors.createColors>;

/** Output of a command: data goes to stdout, everything else to stderr. */
export interface Output {
  json: boolean;
  quiet: boolean;
  /** For text on stdout. */
  colors: Colors;
  /** Writes a line of data. Writes nothing with `--json`, where the document is the data. */
  line(text: string): void;
  /** Writes the JSON text as the API sent it. Call it only if `json` is set. */
  document(text: string): void;
  /** Writes a message to stderr. Writes nothing with `--json` or `--quiet`. */
  note(text: string): void;
  /** Writes a message to stderr, even with `--quiet` or `--json`. */
  warn(text: string): void;
  /** Suggests the next commands to type. */
  next(...commands: string[]): void;
  /** Writes a table with a head, or the note `empty` when there are no rows. */
  table(head: string[], rows: string[][], empty: string): Promise<void>;
}

const hasColor = (io: CliIo, stream: CliStream, wanted: boolean): boolean =>
  wanted && stream.isTTY === true && !io.env.NO_COLOR && io.env.TERM !== 'dumb';

export function createOutput(io: CliIo, { json, quiet, color }: OutputOptions): Output {
  const outColors = colors.createColors(hasColor(io, io.stdout, color));
  const errColors = colors.createColors(hasColor(io, io.stderr, color));
  const silent = json || quiet;
  const line = (text: string): void => {
    if (!json) {
      io.stdout.write(`${text}\n`);
    }
  };
  const note = (text: string): void => {
    if (!silent) {
      io.stderr.write(`${text}\n`);
    }
  };
  return {
    json,
    quiet,
    colors: outColors,
    line,
    document: (text) => void io.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    note,
    warn: (text) => void io.stderr.write(`${errColors.yellow('warning:')} ${text}\n`),
    next: (...commands) => note(`${errColors.dim('Next:')} ${commands.join(errColors.dim('  or  '))}`),
    table: async (head, rows, empty) => {
      if (rows.length === 0) {
        note(empty);
        return;
      }
      line(
        await layOut(
          head.map((cell) => outColors.bold(cell)),
          rows,
        ),
      );
    },
  };
}

const NO_BORDERS = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ].map((name) => [name, '']),
);

/** Lays out columns two spaces apart, without borders, so that people and awk can read them. */
export async function layOut(head: string[], rows: string[][]): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head,
    chars: { ...NO_BORDERS, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...rows);
  return table
    .toString()
    .split('\n')
    .map((text) => text.trimEnd())
    .join('\n');
}
