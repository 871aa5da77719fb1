import type * as contract from '../contract';
import { EXIT, exitCodeOf } from './exit-codes';

export interface CliErrorExtras {
  /** Default 1. */
  exitCode?: number;
  /** What to do about it, in a line of its own. */
  hint?: string;
  cause?: unknown;
}

/** Something that the person at the keyboard can act on; anything else thrown is a bug. */
export class CliError extends Error {
  override name = 'CliError';
  readonly exitCode: number;
  readonly hint: string | undefined;

  constructor(message: string, { exitCode = EXIT.failure, hint, cause }: CliErrorExtras = {}) {
    super(message, { cause });
    this.exitCode = exitCode;
    this.hint = hint;
  }
}

export const usageError = (message: string, hint?: string): CliError => new CliError(message, { exitCode: EXIT.usage, hint });

/** The members of a problem document (RFC 9457) that the client reads; any may be missing when a proxy answered. */
export type Problem = Partial<Pick<contract.Problem, 'code' | 'detail' | 'title' | 'request_id'>>;

/** The server answered, and it was no success. */
export class ApiError extends CliError {
  override name = 'ApiError';

  constructor(
    readonly status: number,
    readonly problem: Problem,
    readonly retryAfterSeconds: number | undefined,
  ) {
    super(problem.detail ?? problem.title ?? `The server answered with status ${status}.`, {
      exitCode: exitCodeOf(status),
      hint: status === 401 ? 'Log in with: orion login' : undefined,
    });
  }
}

/** Nothing whole came back: whether the request was carried out is unknown. */
export class NoAnswerError extends CliError {
  override name = 'NoAnswerError';

  constructor(server: string, cause: unknown, hint = 'Find out why with: orion doctor') {
    super(`No answer from ${server}: ${reasonOf(cause)}`, { exitCode: EXIT.noAnswer, hint, cause });
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) {
    return reasonOf(cause.errors[0]);
  }
  return cause instanceof Error ? cause.message : String(cause);
}
