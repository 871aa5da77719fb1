import { spawn } from 'node:child_process';
import { PassThrough, pipeline, type Readable, type Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

/** A running `age` process: it encrypts or decrypts what is written to `input`, and `output` returns the result. */
export interface Filter {
  input: Writable;
  /** Waits for its reader without a time limit. */
  output: Readable;
  /** Rejects when the process failed, whatever `output` returned. */
  done: Promise<void>;
}

/** Encrypts archives at rest with age(1). The identity stays in its file: this process never reads it. */
export interface Cipher {
  encrypt(signal: AbortSignal): Promise<Filter>;
  decrypt(signal: AbortSignal): Filter;
}

const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
const MAX_COMPLAINT = 300;

/** @param identityFile one identity a line (`age-keygen`): the first encrypts, all of them decrypt, so that keys can be rotated */
export function createAge(identityFile: string): Cipher {
  let recipient: Promise<string> | undefined;
  return {
    encrypt: async (signal) => {
      recipient ??= readRecipient(identityFile);
      return start('age', ['--recipient', await recipient.catch(forget)], signal);
    },
    decrypt: (signal) => start('age', ['--decrypt', '--identity', identityFile], signal),
  };

  function forget(error: unknown): never {
    recipient = undefined;
    throw error;
  }
}

async function readRecipient(identityFile: string): Promise<string> {
  const { input, output, done } = start('age-keygen', ['-y', identityFile]);
  input.end();
  const [said] = await Promise.all([text(output), done]);
  return said.split('\n')[0] ?? '';
}

function start(command: string, args: string[], signal?: AbortSignal): Filter {
  const child = spawn(command, args, { env: ENV, signal });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, MAX_COMPLAINT)));
  // The process may end before it has read everything; `done` reports that.
  child.stdin.on('error', () => undefined);
  const done = new Promise<void>((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${command} cannot be run: ${error.message}`)));
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ended with ${code ?? 'a signal'}: ${complaint.trim()}`)),
    );
  });
  // A caller that does not await `done` has already failed for another reason.
  done.catch(() => undefined);
  // Node drains the pipes of a child that ended, even if nothing reads them. Without this buffer, the output would be lost before a slow
  // node or store reads it.
  const output = new PassThrough().on('error', () => undefined);
  pipeline(child.stdout, output, () => undefined);
  return { input: child.stdin, output, done };
}
