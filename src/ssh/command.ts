import type { Client, ClientChannel } from 'ssh2';

export interface CommandJob {
  command: string;
  /** Input of the command. Default: none. */
  input?: string;
  /**
   * Cuts the connection. On the node, the command runs on until it reads, prints or ends by itself. SSH has no better way to stop a command
   * whose input has ended.
   */
  signal: AbortSignal;
  /** Limit of stdout and stderr together (default: 1 MiB). More output cuts the connection. */
  maxOutputBytes?: number;
}

export interface CommandResult {
  /** Null: it was killed. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The connection ended before the command. What the command has done by then is unknown. */
export class SessionBrokenError extends Error {
  override name = 'SessionBrokenError';
}

/** The command printed more than `maxOutputBytes`. */
export class OutputLimitError extends SessionBrokenError {
  override name = 'OutputLimitError';
}

/** The command was not started. */
export class NotStartedError extends Error {
  override name = 'NotStartedError';
}

const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * Waits until a command has ended and all its output was read, and returns the exit code, or null when the command was killed. Throws
 * SessionBrokenError when the connection broke before that. A server may send the exit code before the last of the output. And a channel
 * ends in the same way whether it was closed or its connection broke. Must be called before anything else can happen on the channel.
 */
export function endOf(client: Client, channel: ClientChannel): Promise<number | null> {
  return new Promise((resolve, reject) => {
    let code: number | null | undefined;
    let broken = false as boolean;
    // This event comes before the close events of the channels.
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

/** Runs one command over an open connection, which `cut` ends. Throws NotStartedError, SessionBrokenError, or the reason of the abort. */
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
        // Listen at once: a command that ends immediately emits its events only now.
        collect({ client, channel: opened }, job, cut).then(resolve, reject).finally(done);
      });
    } catch (error) {
      done();
      reject(new NotStartedError('not connected', { cause: error }));
    }
  });
}

function collect(
  { client, channel }: { client: Client; channel: ClientChannel },
  { input, maxOutputBytes = MAX_OUTPUT_BYTES }: CommandJob,
  cut: () => void,
): Promise<CommandResult> {
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
    endOf(client, channel).then(
      (code) => resolve({ code, stdout: Buffer.concat(said).toString(), stderr: Buffer.concat(complained).toString() }),
      reject,
    );
    channel.on('error', () => undefined);
    channel.on('data', (chunk: Buffer) => hear(said, chunk));
    channel.stderr.on('data', (chunk: Buffer) => hear(complained, chunk));
    channel.end(input ?? '');
  });
}

/**
 * Port for a request that every SSH server refuses, because no server can unbind a port below 1. The refusal proves that the server
 * answers. The library has no other request that gets an answer.
 */
const NO_PORT = 0;

/** Makes one round trip. Throws SessionBrokenError when the connection breaks. It has no deadline. */
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
