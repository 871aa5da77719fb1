import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { CliError, usageError } from './errors';
import type { CliIo } from './io';

/** Reads the first line of standard input. Throws a usage error if it is empty. */
export async function readSecretLine(io: CliIo): Promise<string> {
  const [line = ''] = await readSecretLines(io, 1);
  return line;
}

/** Reads the first lines of standard input. Throws a usage error if one of them is missing or empty. */
export async function readSecretLines({ stdin }: CliIo, count: number): Promise<string[]> {
  let text = '';
  for await (const chunk of stdin) {
    text += String(chunk);
    if (text.split('\n').length > count) {
      break;
    }
  }
  const lines = text.split(/\r?\n/).slice(0, count);
  if (lines.length < count || lines.includes('')) {
    throw usageError(count === 1 ? 'Standard input holds no password.' : `Standard input must hold ${count} lines, none of them empty.`);
  }
  return lines;
}

/** Whether a person at a terminal can answer questions. */
export function canAsk({ isTty, stdin }: CliIo): boolean {
  return isTty && 'isTTY' in stdin && stdin.isTTY === true;
}

/** Asks on the terminal without showing the typed text. Call it only if `canAsk`. */
export async function askHidden(io: CliIo, question: string): Promise<string> {
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: io.stdin, output: mute, terminal: true });
  io.stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once('SIGINT', () => reject(new CliError('Nothing was done.', { exitCode: 130 })));
      reader.once('close', () => reject(new CliError('Nothing was typed.')));
      reader.question('', resolve);
    });
  } finally {
    reader.close();
    io.stderr.write('\n');
  }
}

/** Asks for a new password twice, without showing it. Throws a usage error if the answers differ. Call it only if `canAsk`. */
export async function askTwice(io: CliIo, question: string): Promise<string> {
  const typed = await askHidden(io, question);
  if ((await askHidden(io, 'The same again: ')) !== typed) {
    throw usageError('The two passwords differ.');
  }
  return typed;
}

/** Asks on the terminal and shows the typed text. */
export async function ask(io: CliIo, question: string): Promise<string> {
  const reader = createInterface({ input: io.stdin, output: io.stderr });
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once('SIGINT', () => reject(new CliError('Nothing was done.', { exitCode: 130 })));
      reader.once('close', () => reject(new CliError('Nothing was typed.')));
      reader.question(question, resolve);
    });
  } finally {
    reader.close();
  }
}
