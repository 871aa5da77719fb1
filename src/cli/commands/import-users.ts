import { readFile } from 'node:fs/promises';
import { messageOf } from '../../lib/errors';
import { ApiError, usageError } from '../errors';
import { EXIT } from '../exit-codes';
import { type Person, parsePeople } from '../people-file';
import { type CommandContext, type Session, withSession } from '../session';

interface Report {
  line: number;
  username: string;
  result: 'created' | 'exists' | 'failed' | 'not tried';
  /** Null: the account was there already, or there is none. */
  one_time_code: string | null;
  expires_at: string | null;
  reason: string | null;
  /** No further account is tried: what failed concerns the others too. */
  isLast?: boolean;
}

/**
 * Creates the accounts of a CSV file and prints a report as CSV, with a one-time code for each new account. A file with a fault creates
 * none. Repeating the command creates what is missing. Resolves with the exit code: 1 if an account is missing.
 */
export async function importUsers(context: CommandContext, file: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch((error: unknown) =>
    Promise.reject(usageError(`${file} cannot be read: ${messageOf(error)}`)),
  );
  const people = parsePeople(text);
  return withSession(context, async (session) => {
    const { out } = session;
    const reports: Report[] = [];
    out.line('line,username,result,one_time_code,expires_at,reason');
    for (const person of people) {
      const report = reports.at(-1)?.isLast
        ? reportOf(person, 'not tried', { isLast: true })
        : await create(session, person).catch((error: unknown) =>
            reportOf(person, 'failed', { reason: messageOf(error), isLast: !isOfLine(error) }),
          );
      reports.push(report);
      // A line at a time: a code that was issued must not get lost with a later failure.
      out.line(Object.values(shown(report)).map(fieldOf).join(','));
    }
    if (out.json) {
      out.document(JSON.stringify({ items: reports.map(shown) }));
    }
    return tell(session, reports);
  });
}

/** Whether an error concerns one account only, so that the next one may succeed. */
const isOfLine = (error: unknown): boolean => error instanceof ApiError && [400, 422].includes(error.status);

async function create({ api }: Session, person: Person): Promise<Report> {
  try {
    const { data } = await api.call((orion) => orion['/api/users'].POST({ body: person.body }));
    const { code = null, expires_at = null } = data.one_time_code ?? {};
    return reportOf(person, 'created', { one_time_code: code, expires_at });
  } catch (error) {
    if (error instanceof ApiError && error.problem.code === 'username_taken') {
      return reportOf(person, 'exists');
    }
    throw error;
  }
}

const reportOf = ({ line, body: { username } }: Person, result: Report['result'], more: Partial<Report> = {}): Report => ({
  line,
  username,
  result,
  one_time_code: null,
  expires_at: null,
  reason: null,
  ...more,
});

const shown = ({ line, username, result, one_time_code, expires_at, reason }: Report): Omit<Report, 'isLast'> => ({
  line,
  username,
  result,
  one_time_code,
  expires_at,
  reason,
});

const fieldOf = (value: string | number | null): string => {
  const text = String(value ?? '');
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

function tell({ out }: Session, reports: Report[]): number {
  const count = (...results: Report['result'][]): number => reports.filter(({ result }) => results.includes(result)).length;
  const missing = count('failed', 'not tried');
  out.note(`${count('created')} created, ${count('exists')} exist already, ${missing} missing. Codes are shown this once.`);
  out.next(missing > 0 ? 'repeat the command' : 'orion users', 'orion users reset-password NAME');
  return missing > 0 ? EXIT.failure : EXIT.ok;
}
