import type { Writable } from 'node:stream';
import { type Clock, systemClock } from '../lib/clock';

/** A stream to write to, which may be a terminal. */
export type CliStream = Writable & { isTTY?: boolean; columns?: number };

/** What a command may know of the process it runs in; tests pass their own. */
export interface CliIo {
  env: NodeJS.ProcessEnv;
  /** Data: what a script wants to read. */
  stdout: CliStream;
  /** Progress, messages and errors. */
  stderr: CliStream;
  stdin: NodeJS.ReadableStream;
  /** Whether a person sits there: without one nothing is asked. */
  isTty: boolean;
  clock: Clock;
}

/** The real process as a CliIo. */
export function processIo(env: NodeJS.ProcessEnv): CliIo {
  const { stdin, stdout, stderr } = process;
  return { env, stdin, stdout, stderr, isTty: stdin.isTTY && stderr.isTTY, clock: systemClock };
}
