import { usageError } from '../errors';
import { readSecretLine } from '../secret-input';
import { callPages, type CommandContext, type Session, withSession } from '../session';
import { formatTime, printable } from '../text';
import type { OneTimeCode, User, UserChange } from '../../contract';

export interface UserOptions {
  maxLeases?: number;
  maxHours?: number;
  role?: string;
  disable?: boolean;
  enable?: boolean;
  keepLeases?: boolean;
}

export interface NewUserOptions {
  admin?: boolean;
  maxLeases?: number;
  maxHours?: number;
  passwordStdin?: boolean;
}

const HEAD = ['ID', 'USERNAME', 'ROLE', 'LEASES', 'HOURS', 'STATE', 'CREATED'];

const stateOf = ({ deleted_at, disabled, must_change_password }: User): string =>
  deleted_at ? 'deleted' : disabled ? 'disabled' : must_change_password ? 'enabled, must change the password' : 'enabled';

const rowOf = (user: User): string[] => [
  String(user.id),
  printable(user.username),
  user.role,
  String(user.max_leases),
  String(user.max_lease_hours),
  stateOf(user),
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

export async function showUser(context: CommandContext, id: string): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const { data, text } = await api.call((orion) => orion['/api/users/{id}'].GET({ params: { path: { id } } }));
    await showOne({ out }, data, text);
    out.next(`orion audit list --user ${data.username}`);
  });
}

/** Creates an account. Only the one-time code goes to stdout, so that a script can read it there. */
export async function createUser(
  context: CommandContext,
  username: string,
  { admin, maxLeases, maxHours, passwordStdin }: NewUserOptions,
): Promise<void> {
  const body = {
    username,
    ...(admin ? { role: 'admin' as const } : {}),
    ...(maxLeases === undefined ? {} : { max_leases: maxLeases }),
    ...(maxHours === undefined ? {} : { max_lease_hours: maxHours }),
    ...(passwordStdin ? { password: await readSecretLine(context.io) } : {}),
  };
  await withSession(context, async (session) => {
    const {
      data: { user, one_time_code: code },
      text,
    } = await session.api.call((orion) => orion['/api/users'].POST({ body }));
    session.out.note(
      `account ${user.username} (id ${user.id}) created: ${user.role}, up to ${user.max_leases} leases of up to ${user.max_lease_hours} h`,
    );
    if (code !== null) {
      showCode(session, { username, code, text });
      return;
    }
    if (session.out.json) {
      session.out.document(text);
    }
    session.out.note('The password must be changed at the first login.');
    session.out.next(`${username} runs: orion login --username ${username} --server ${session.api.server}; orion passwd`);
  });
}

export async function resetPassword(context: CommandContext, id: string): Promise<void> {
  await withSession(context, async (session) => {
    const {
      data: { username },
    } = await session.api.call((orion) => orion['/api/users/{id}'].GET({ params: { path: { id } } }));
    const { data: code, text } = await session.api.call((orion) =>
      orion['/api/users/{id}/reset-password'].POST({ params: { path: { id } } }),
    );
    showCode(session, { username, code, text });
    session.out.note(
      'The old password and open sessions stay valid until the code is used. To end them now: orion users set NAME --disable',
    );
  });
}

function showCode(
  { api, out }: Session,
  { username, code: { code, expires_at }, text }: { username: string; code: OneTimeCode; text: string },
): void {
  if (out.json) {
    out.document(text);
    return;
  }
  out.line(code);
  out.note(`The code sets the password of ${printable(username)} once, until ${formatTime(expires_at)}. It is shown this once.`);
  out.next(`${printable(username)} runs: orion passwd --code --username ${printable(username)} --server ${api.server}`);
}

export async function deleteUser(context: CommandContext, id: string, { keepLeases }: { keepLeases?: boolean }): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const query = keepLeases ? ({ keep_leases: 'true' } as const) : {};
    const { data, text } = await api.call((orion) => orion['/api/users/{id}'].DELETE({ params: { path: { id }, query } }));
    if (out.json) {
      out.document(text);
      return;
    }
    out.line(`account ${printable(data.username)} (id ${data.id}) deleted`);
    out.note(
      keepLeases
        ? 'Its programs run until the leases end; nobody can log in to them.'
        : 'Its leases have ended, and their accounts are being wiped.',
    );
    out.next(`orion audit list --user ${data.id}`);
  });
}

export async function setUser(context: CommandContext, id: string, options: UserOptions): Promise<void> {
  // The root program's own `--role`, which names the roles to run, takes the value before this command gets it.
  const body = changeOf({ ...options, role: context.globals.role });
  await withSession(context, async ({ api, out }) => {
    const { data, text } = await api.call((orion) => orion['/api/users/{id}'].PATCH({ params: { path: { id } }, body }));
    await showOne({ out }, data, text);
    out.next('orion users');
  });
}

async function showOne({ out }: Pick<Session, 'out'>, user: User, text: string): Promise<void> {
  if (out.json) {
    out.document(text);
    return;
  }
  await out.table(HEAD, [rowOf(user)], '');
}

function changeOf({ maxLeases, maxHours, role, disable, enable, keepLeases }: UserOptions): UserChange {
  refuseContradiction({ disable, enable, keepLeases });
  if (role !== undefined && role !== 'user' && role !== 'admin') {
    throw usageError('--role takes user or admin.');
  }
  const change = { max_leases: maxLeases, max_lease_hours: maxHours, role, disabled: disable ? true : enable ? false : undefined } as const;
  if (Object.values(change).every((value) => value === undefined)) {
    throw usageError('Say what to change: --max-leases, --max-hours, --role, --disable or --enable.');
  }
  return keepLeases ? { ...change, keep_leases: true } : change;
}

function refuseContradiction({ disable, enable, keepLeases }: UserOptions): void {
  if (disable && enable) {
    throw usageError('Give either --disable or --enable.');
  }
  if (keepLeases && !disable) {
    throw usageError('--keep-leases belongs to --disable.');
  }
}
