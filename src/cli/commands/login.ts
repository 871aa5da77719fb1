import { type ApiAnswer, requireSecrecy } from '../api';
import { parseServer } from '../arguments';
import { usageError } from '../errors';
import { ask, askHidden, askTwice, canAsk, readSecretLine } from '../secret-input';
import { type CommandContext, findLogin, type Session, withApi } from '../session';
import type { LoginAnswer } from '../../contract';

export interface CredentialOptions {
  username?: string;
  passwordStdin?: boolean;
}

interface Credentials extends Record<string, unknown> {
  username: string;
  password: string;
}

/** Logs in and stores the token in a file of mode 0600. */
export async function login(context: CommandContext, options: CredentialOptions): Promise<void> {
  const { server, username } = await findLogin(context);
  await withApi(context, { server: checked(server) }, async (session) => {
    const answer = await logIn(session, await readCredentials(context, { ...options, known: username }));
    if (context.out.json) {
      context.out.document(answer.text);
    }
  });
}

/** Creates an account and logs in with it. */
export async function signup(context: CommandContext, options: CredentialOptions): Promise<void> {
  const { server } = await findLogin(context);
  await withApi(context, { server: checked(server) }, async (session) => {
    const credentials = await readCredentials(context, { ...options, isNew: true });
    const answer = await session.api.call((orion) => orion['/api/signup'].POST({ body: credentials }));
    const { user } = answer.data;
    context.out.line(`account ${user.username} created: up to ${user.max_leases} leases of up to ${user.max_lease_hours} h`);
    await logIn(session, credentials);
    if (context.out.json) {
      context.out.document(answer.text);
    }
  });
}

async function logIn({ api, out, store }: Session, credentials: Credentials): Promise<ApiAnswer<LoginAnswer>> {
  const answer = await api.call((orion) => orion['/api/login'].POST({ body: credentials }));
  const { token, user } = answer.data;
  await store.writeLogin({ server: api.server, username: user.username, token });
  out.line(`logged in at ${api.server} as ${user.username} (${user.role})`);
  if (user.must_change_password) {
    out.note('An operator chose the password of this account. Change it first: until then the account can do nothing else.');
    out.next('orion passwd');
    return answer;
  }
  out.next('orion rent', 'orion leases');
  return answer;
}

function checked(server: string): string {
  requireSecrecy(parseServer(server));
  return server;
}

async function readCredentials(
  { io }: CommandContext,
  options: CredentialOptions & { known?: string; isNew?: boolean },
): Promise<Credentials> {
  const username = options.username ?? (canAsk(io) ? await askUsername(io, options.known) : options.known);
  if (username === undefined || username === '') {
    throw usageError('No username is given.', 'Use --username NAME.');
  }
  if (options.passwordStdin) {
    return { username, password: await readSecretLine(io) };
  }
  if (!canAsk(io)) {
    throw usageError('There is no terminal to ask for a password.', 'Use --password-stdin and give it on standard input.');
  }
  return { username, password: await (options.isNew ? askTwice : askHidden)(io, 'Password: ') };
}

async function askUsername(io: CommandContext['io'], known: string | undefined): Promise<string | undefined> {
  const typed = await ask(io, known === undefined ? 'Username: ' : `Username [${known}]: `);
  return typed.trim() === '' ? known : typed.trim();
}
