import colors from 'picocolors';
import { messageOf, OrionError } from '../lib/errors';
import { ApiError, CliError } from './errors';
import { EXIT } from './exit-codes';
import type { CliIo } from './io';
import { printable } from './text';

/** Writes to stderr what went wrong and what to do about it. Prints a stack only if ORION_DEBUG is set. Returns the exit code. */
export function reportError({ env, stderr }: CliIo, error: unknown): number {
  const { red, dim } = colors.createColors(stderr.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb');
  // A message may have several lines, such as the faults of a configuration.
  const message = messageOf(error).split('\n').map(printable).join('\n');
  stderr.write(`${red('error:')} ${message}\n`);
  for (const line of detailsOf(error)) {
    stderr.write(`${dim(`  ${printable(line)}`)}\n`);
  }
  if (env.ORION_DEBUG && error instanceof Error) {
    stderr.write(`${error.stack ?? ''}\n`);
  }
  return error instanceof CliError ? error.exitCode : EXIT.failure;
}

function detailsOf(error: unknown): string[] {
  if (error instanceof ApiError) {
    const { code, request_id: requestId } = error.problem;
    const names = [
      code === undefined ? `status ${error.status}` : `code ${code}`,
      ...(requestId === undefined ? [] : [`request ${requestId}`]),
    ];
    const retry = error.retryAfterSeconds === undefined ? [] : [`Try again in ${error.retryAfterSeconds} s.`];
    return [names.join(', '), ...retry, ...(error.hint === undefined ? [] : [error.hint])];
  }
  if (error instanceof CliError) {
    return error.hint === undefined ? [] : [error.hint];
  }
  return error instanceof OrionError ? [`code ${error.code}`] : [];
}
