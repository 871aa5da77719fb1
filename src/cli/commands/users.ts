import { usageError } from '../errors';
import { callPages, type CommandContext, withSession } from '../session';
import { formatTime, printable } from '../text';
import type { User } from '../../contract';

export interface UserOptions {
  maxLeases?: number;
  maxHours?: number;
  role?: string;
  disable?: boolean;
  enable?: boolean;
}

const ROLES = ['user', 'admin'];
const HEAD = ['ID', 'USERNAME', 'ROLE', 'LEASES', 'HOURS', 'STATE', 'CREATED'];

const rowOf = (user: User): string[] => [
  String(user.id),
  printable(user.username),
  user.role,
  String(user.max_leases),
  String(user.max_lease_hours),
  user.disabled ? 'disabled' : 'enabled',
  formatTime(user.created_at),
];

export async function listUsers(context: CommandContext): Promise<void> {
  await withSession(context, async (session) => {
    const { items, text } = await callPages<User>(session, '/api/users');
    if (context.out.json) {
      context.out.document(text);
      return;
    }
    await context.out.table(HEAD, items.map(rowOf), 'There is no account.');
  });
}

export async function setUser(context: CommandContext, id: number, options: UserOptions): Promise<void> {
  // The program's own --role, which names what to run, takes the word before this command sees it.
  const body = changeOf({ ...options, role: context.globals.role });
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call({ method: 'PATCH', path: `/api/users/${id}`, body });
    if (out.json) {
      out.document(answer.text);
      return;
    }
    await out.table(HEAD, [rowOf(answer.body as User)], '');
    out.next('orion users');
  });
}

function changeOf({ maxLeases, maxHours, role, disable, enable }: UserOptions): Record<string, unknown> {
  if (disable && enable) {
    throw usageError('Give either --disable or --enable.');
  }
  if (role !== undefined && !ROLES.includes(role)) {
    throw usageError(`--role takes ${ROLES.join(' or ')}.`);
  }
  const all = { max_leases: maxLeases, max_lease_hours: maxHours, role, disabled: disable ? true : enable ? false : undefined };
  const body = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  if (Object.keys(body).length === 0) {
    throw usageError('Say what to change: --max-leases, --max-hours, --role, --disable or --enable.');
  }
  return body;
}
