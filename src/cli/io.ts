import type { Writable } from 'node:stream';
import { type Clock, systemClock } from '../lib/clock';

/** An output stream, which may be a terminal. */
export type CliStream = Writable & { isTTY?: boolean; columns?: number };

/** The parts of the process that a command may use. Tests pass their own. */
export interface CliIo {
  env: NodeJS.ProcessEnv;
  /** Data for scripts. */
  stdout: CliStream;
  /** Progress, messages and errors. */
  stderr: CliStream;
  stdin: NodeJS.ReadableStream;
  /** Whether a person uses the terminal. If not, the program asks no questions. */
  isTty: boolean;
  clock: Clock;
}

/** Makes a CliIo of the real process. */
export function processIo(env: NodeJS.ProcessEnv): CliIo {
  const { stdin, stdout, stderr } = process;
  return { env, stdin, stdout, stderr, isTty: stdin.isTTY && stderr.isTTY, clock: systemClock };
}
