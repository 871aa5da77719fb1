import { USERNAME, USERNAME_RULE } from '../lib/username';
import type { NewUser } from '../contract';
import { usageError } from './errors';

export interface Person {
  line: number;
  body: Omit<NewUser, 'password'>;
}

const COLUMNS = ['username', 'role', 'max_leases', 'max_lease_hours'];

/**
 * Reads a CSV file of accounts. Its first line names the columns; `username` is required. Commas or semicolons separate the fields, and
 * quotes around a field are removed. Throws a usage error that lists each line with a fault.
 */
export function parsePeople(text: string): Person[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((content, at) => ({ line: at + 1, content }))
    .filter(({ content }) => content.trim() !== '');
  const [head, ...rows] = lines;
  const separator = head?.content.includes(';') ? ';' : ',';
  const columns = fieldsOf(head?.content ?? '', separator);
  if (!columns.includes('username') || columns.some((name) => !COLUMNS.includes(name))) {
    throw usageError(
      'The first line must name the columns.',
      `username is required; ${COLUMNS.slice(1).join(', ')} are optional. Such as: username,max_leases`,
    );
  }
  const seen = new Map<string, number>();
  const faults: string[] = [];
  const people = rows.map(({ line, content }) => {
    const fields = fieldsOf(content, separator);
    const given = Object.fromEntries(columns.map((name, at) => [name, fields[at] ?? '']));
    const username = given['username'] ?? '';
    const fault = fields.length > columns.length ? 'it has more fields than the first line' : faultOf(given, seen.get(username));
    faults.push(...(fault === undefined ? [] : [`line ${line}: ${fault}`]));
    seen.set(username, line);
    return { line, body: bodyOf(given) };
  });
  if (faults.length > 0 || people.length === 0) {
    throw usageError(
      ['No account was created.', ...(people.length === 0 ? ['The file has no accounts.'] : faults)].join('\n'),
      'Correct the file and repeat the command.',
    );
  }
  return people;
}

const fieldsOf = (line: string, separator: string): string[] =>
  line.split(separator).map((field) =>
    field
      .trim()
      .replace(/^"(.*)"$/, '$1')
      .trim(),
  );

const isNumber = (text: string | undefined, min: number): boolean =>
  text === undefined || text === '' || (/^\d{1,6}$/.test(text) && Number(text) >= min);

function faultOf(
  { username = '', role = '', max_leases: leases, max_lease_hours: hours }: Partial<Record<string, string>>,
  before: number | undefined,
): string | undefined {
  if (!USERNAME.test(username)) {
    return `username ${JSON.stringify(username)}: ${USERNAME_RULE}`;
  }
  if (before !== undefined) {
    return `username ${username} is on line ${before} too`;
  }
  if (!['', 'user', 'admin'].includes(role)) {
    return `role ${JSON.stringify(role)}: use user or admin`;
  }
  return isNumber(leases, 0) && isNumber(hours, 1) ? undefined : 'max_leases and max_lease_hours: use whole numbers';
}

function bodyOf({ username = '', role, max_leases: leases, max_lease_hours: hours }: Partial<Record<string, string>>): Person['body'] {
  return {
    username,
    ...(role ? { role: role as 'user' | 'admin' } : {}),
    ...(leases ? { max_leases: Number(leases) } : {}),
    ...(hours ? { max_lease_hours: Number(hours) } : {}),
  };
}
