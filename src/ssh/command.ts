import type { Client, ClientChannel } from 'ssh2';

export interface CommandJob {
  command: string;
  /** What the command reads; nothing without it. */
  input?: string;
  /** Cuts the connection. What the command does on the node goes on until it reads, prints or ends by itself: SSH has no better word for a command whose input is at its end. */
  signal: AbortSignal;
  /** More than this, of what it prints and complains of together, cuts the connection (1 MiB). */
  maxOutputBytes?: number;
}

export interface CommandResult {
  /** Null: it was killed. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The connection ended before the command did: what the command has done by then is unknown. */
export class SessionBrokenError extends Error {
  override name = 'SessionBrokenError';
}

/** The command printed more than it may. */
export class OutputLimitError extends SessionBrokenError {
  override name = 'OutputLimitError';
}

/** The command was not started. */
export class NotStartedError extends Error {
  override name = 'NotStartedError';
}

const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * The exit code of a command, null when it was killed, once all that it printed has been read. Throws SessionBrokenError when the connection broke before:
 * a server may tell the exit code ahead of the last of the output, and a channel ends in the same way whether it was closed or its connection is gone.
 * To be called before anything else can happen on the channel.
 */
export function endOf(client: Client, channel: ClientChannel): Promise<number | null> {
  return new Promise((resolve, reject) => {
    let code: number | null | undefined;
    let broken = false as boolean;
    // Comes before the channels of the connection are told.
    const onBreak = (): void => {
      broken = true;
    };
    client.once('close', onBreak);
    channel.once('exit', (told: number | null) => (code = told));
    channel.once('close', () => {
      client.removeListener('close', onBreak);
      if (code === undefined || broken) {
        reject(new SessionBrokenError('the connection ended before the command'));
      } else {
        resolve(code);
      }
    });
  });
}

export const reasonOf = (signal: AbortSignal): Error => (signal.reason instanceof Error ? signal.reason : new Error('aborted'));

/** Runs one command over an open connection, which `cut` ends. Throws NotStartedError, SessionBrokenError, or why it was cut. */
export function runCommand(client: Client, job: CommandJob, cut: () => void): Promise<CommandResult> {
  const { signal } = job;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(reasonOf(signal));
      cut();
    };
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    const done = (): void => signal.removeEventListener('abort', abort);
    try {
      client.exec(job.command, (error, opened) => {
        if (error) {
          done();
          reject(new NotStartedError(error.message, { cause: error }));
          return;
        }
        // Not a moment later: a command that is over at once says so only now.
        collect({ client, channel: opened }, job, cut).then(resolve, reject).finally(done);
      });
    } catch (error) {
      done();
      reject(new NotStartedError('not connected', { cause: error }));
    }
  });
}

function collect({ client, channel }: { client: Client; channel: ClientChannel }, { input, maxOutputBytes = MAX_OUTPUT_BYTES }: CommandJob, cut: () => void): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const said: Buffer[] = [];
    const complained: Buffer[] = [];
    let bytes = 0;
    const hear = (to: Buffer[], chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= maxOutputBytes) {
        to.push(chunk);
      } else {
        reject(new OutputLimitError(`it printed more than ${maxOutputBytes} bytes`));
        cut();
      }
    };
    endOf(client, channel).then((code) => resolve({ code, stdout: Buffer.concat(said).toString(), stderr: Buffer.concat(complained).toString() }), reject);
    channel.on('error', () => undefined);
    channel.on('data', (chunk: Buffer) => hear(said, chunk));
    channel.stderr.on('data', (chunk: Buffer) => hear(complained, chunk));
    channel.end(input ?? '');
  });
}

/** No SSH server lets go of a port below 1: asked to, it says no, and so that it is there. The library has no other request that is answered. */
const NO_PORT = 0;

/** One round trip. Throws SessionBrokenError when the connection breaks; has no deadline. */
export function roundTrip(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    try {
      client.unforwardIn('', NO_PORT, (error) => {
        if (error && !error.message.startsWith('Unable to unbind')) {
          reject(new SessionBrokenError(error.message));
        } else {
          resolve();
        }
      });
    } catch (error) {
      reject(new SessionBrokenError('not connected', { cause: error }));
    }
  });
}
