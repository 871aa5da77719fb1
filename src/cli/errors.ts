import type * as contract from '../contract';
import { EXIT, exitCodeOf } from './exit-codes';

export interface CliErrorExtras {
  /** Default: 1. */
  exitCode?: number;
  /** Advice on what to do about the error. Printed on a line of its own. */
  hint?: string;
  cause?: unknown;
}

/** An error that the user can act on. Any other error that is thrown is a bug. */
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

/** The fields of a problem document (RFC 9457) that the client reads. Any of them may be missing when a proxy answered. */
export type Problem = Partial<Pick<contract.Problem, 'code' | 'detail' | 'title' | 'request_id'>>;

/** The server answered with a status that is not a success. */
export class ApiError extends CliError {
  override name = 'ApiError';

  constructor(
    readonly status: number,
    readonly problem: Problem,
    readonly retryAfterSeconds: number | undefined,
  ) {
    super(problem.detail ?? problem.title ?? `The server answered with status ${status}.`, {
      exitCode: exitCodeOf(status),
      hint: status === 401 && problem.code !== 'bad_credentials' ? 'Log in with: orion login' : undefined,
    });
  }
}

/** No complete answer arrived, so it is unknown whether the server carried out the request. */
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
