import { DeadlineError, withDeadline } from '../../lib/clock';
import { messageOf } from '../../lib/errors';

/** Has the same shape as the checks of a node in the API. */
export interface Check {
  name: string;
  result: 'ok' | 'warn' | 'fail';
  /** Empty for `ok`. */
  cause: string;
  remedy: string;
}

export interface Finding {
  result: 'warn' | 'fail';
  cause: string;
  remedy: string;
}

export interface Examination {
  name: string;
  /** Returns the problems it finds. Changes nothing on the machine. */
  examine: (signal: AbortSignal) => Promise<Finding[]>;
}

export const warn = (cause: string, remedy: string): Finding => ({ result: 'warn', cause, remedy });
export const fail = (cause: string, remedy: string): Finding => ({ result: 'fail', cause, remedy });

const TIMEOUT_MS = 10_000;

/** Runs one examination. Never rejects. A timeout is a fail, because a tenant's login would hang there as well. An error is a warning. */
export async function runExamination({ name, examine }: Examination, timeoutMs = TIMEOUT_MS): Promise<Check> {
  try {
    return checkOf(name, await withDeadline(timeoutMs, examine));
  } catch (error) {
    const finding =
      error instanceof DeadlineError
        ? fail(`the check got ${error.message}`, 'look for a file system or a program that hangs')
        : warn(
            `the check could not be made: ${messageOf(error)}`,
            'look at it by hand; the control plane logs in to the machine in any case before it leases it',
          );
    return checkOf(name, [finding]);
  }
}

/** Combines findings into one check, which is as bad as its worst finding. */
export function checkOf(name: string, findings: Finding[]): Check {
  const result = findings.some((finding) => finding.result === 'fail') ? 'fail' : findings.length > 0 ? 'warn' : 'ok';
  const joined = (of: (finding: Finding) => string): string => [...new Set(findings.map(of))].join('; ');
  return { name, result, cause: joined(({ cause }) => cause), remedy: joined(({ remedy }) => remedy) };
}

const MARKS = { ok: '✓', warn: '!', fail: '✗' } as const;

/** Prints one line a check, and below it the remedy. */
export function printChecks(checks: Check[]): string {
  const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
  return checks
    .map(({ name, result, cause, remedy }) =>
      result === 'ok' ? `${MARKS.ok} ${name}\n` : `${MARKS[result]} ${name}: ${oneLine(cause)}\n    ${oneLine(remedy)}\n`,
    )
    .join('');
}
