import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { OrionClient } from '../client';
import { type ApiClient, createApiClient } from './api';
import { parseServer } from './arguments';
import { CliError, usageError } from './errors';
import { EXIT } from './exit-codes';
import { createHttpClient, type HttpClient } from './http';
import type { CliIo } from './io';
import { createOutput, type Output } from './output';
import { createStore, type Store } from './store';
import type { Page } from '../contract';

interface GlobalOptions {
  json?: boolean;
  quiet?: boolean;
  color?: boolean;
  server?: string;
  role?: string;
}

/** The resources of a client command. */
export interface CommandContext {
  io: CliIo;
  out: Output;
  store: Store;
  globals: GlobalOptions;
}

/** A context with a client for a known server. As far as this machine knows, the user is logged in. */
export interface Session extends CommandContext {
  api: ApiClient;
}

export function createContext(io: CliIo, command: Command): CommandContext {
  const globals: GlobalOptions = command.optsWithGlobals();
  const out = createOutput(io, { json: globals.json === true, quiet: globals.quiet === true, color: globals.color !== false });
  return { io, out, store: createStore(io.env), globals };
}

/** Runs `work` with a client that sends the stored token or ORION_TOKEN. Throws if there is no token. */
export async function withSession<T>(context: CommandContext, work: (session: Session) => Promise<T>): Promise<T> {
  const { server, token } = await findLogin(context);
  if (token === undefined) {
    throw new CliError(`You are not logged in at ${server}.`, { exitCode: EXIT.refused, hint: 'Log in with: orion login' });
  }
  return withApi(context, { server, token }, work);
}

/** Runs `work` with a client for calls that need no token. */
export async function withApi<T>(
  context: CommandContext,
  login: { server: string; token?: string },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const http = createClient(context);
  const api = createApiClient({ server: login.server, token: login.token, http, clock: context.io.clock });
  try {
    return await work({ ...context, api });
  } finally {
    api.close();
  }
}

export const createClient = ({ io }: CommandContext): HttpClient => createHttpClient(() => readCa(io.env.ORION_CA_FILE));

/** Finds the server and its token. A stored token is sent only to the server that issued it. */
export async function findLogin({
  io,
  store,
  globals,
}: CommandContext): Promise<{ server: string; token: string | undefined; username: string | undefined }> {
  const stored = await store.readLogin();
  const named = globals.server ?? nonEmpty(io.env.ORION_SERVER) ?? stored.server;
  if (named === undefined) {
    throw usageError('No server is set.', 'Say which one: orion login --server https://orion.example.org');
  }
  const server = parseServer(named);
  const mine = stored.server === server;
  return { server, token: nonEmpty(io.env.ORION_TOKEN) ?? (mine ? stored.token : undefined), username: mine ? stored.username : undefined };
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

async function readCa(file: string | undefined): Promise<string | undefined> {
  if (file === undefined || file === '') {
    return undefined;
  }
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`ORION_CA_FILE cannot be read: ${(error as Error).message}`, { exitCode: EXIT.usage });
  }
}

/** A typed call for the page after `cursor`. Without a cursor it returns the first page. */
export type PageCall<T> = (orion: OrionClient, cursor: string | undefined) => Promise<{ data?: Page<T> | undefined }>;

/** Fetches all pages of a list as one document. If there is a single page, `text` is the server's own text. */
export async function callPages<T>({ api }: Session, call: PageCall<T>): Promise<{ items: T[]; text: string }> {
  const first = await api.call((orion) => call(orion, undefined));
  const items = [...first.data.items];
  let next = first.data.next_cursor;
  if (next === null) {
    return { items, text: first.text };
  }
  while (next !== null) {
    const cursor: string = next;
    const { data: page } = await api.call((orion) => call(orion, cursor));
    items.push(...page.items);
    next = page.items.length === 0 ? null : page.next_cursor;
  }
  return { items, text: JSON.stringify({ items, next_cursor: null }) };
}
