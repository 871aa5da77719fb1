import { usageError } from '../errors';
import { callPages, type CommandContext, withSession } from '../session';
import { formatTime, printable } from '../text';
import type { User, UserChange } from '../../contract';

export interface UserOptions {
  maxLeases?: number;
  maxHours?: number;
  role?: string;
  disable?: boolean;
  enable?: boolean;
}

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
    const { items, text } = await callPages(session, (orion, cursor) => orion['/api/users'].GET({ params: { query: { cursor } } }));
    if (context.out.json) {
      context.out.document(text);
      return;
    }
    await context.out.table(HEAD, items.map(rowOf), 'There is no account.');
  });
}

export async function setUser(context: CommandContext, id: number, options: UserOptions): Promise<void> {
  // The root program's own `--role`, which names the roles to run, takes the value before this command gets it.
  const body = changeOf({ ...options, role: context.globals.role });
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call((orion) => orion['/api/users/{id}'].PATCH({ params: { path: { id } }, body }));
    if (out.json) {
      out.document(answer.text);
      return;
    }
    await out.table(HEAD, [rowOf(answer.data)], '');
    out.next('orion users');
  });
}

function changeOf({ maxLeases, maxHours, role, disable, enable }: UserOptions): UserChange {
  if (disable && enable) {
    throw usageError('Give either --disable or --enable.');
  }
  if (role !== undefined && role !== 'user' && role !== 'admin') {
    throw usageError('--role takes user or admin.');
  }
  const change = { max_leases: maxLeases, max_lease_hours: maxHours, role, disabled: disable ? true : enable ? false : undefined } as const;
  if (Object.values(change).every((value) => value === undefined)) {
    throw usageError('Say what to change: --max-leases, --max-hours, --role, --disable or --enable.');
  }
  return change;
}
