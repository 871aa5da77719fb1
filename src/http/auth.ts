import type { Knex } from 'knex';
import type { CallAccess } from '../contract';
import { createBatcher, fulfilled } from '../lib/batcher';
import type { Clock } from '../lib/clock';
import { OrionError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { findUsersOfTokens, type Principal, type SessionLog, type TokenOfUser, type TokenSettings, type User } from '../modules/accounts';
import { createTokenReader } from './access-token';
import { bytesOfBody } from './body';
import type { CallLocals, CallRequest } from './call';
import { callerAddressOf } from './caller-address';
import { createNodeFinder, type FindNodeCaller, readShownNode } from './node-caller';

/** Identifies the caller of a request and writes it into the call's locals. Throws unauthenticated, forbidden or node_retired. */
type Identify = (req: CallRequest, locals: CallLocals) => Promise<void>;

/** Functions that identify the caller, one for each kind of access. */
export type Authenticator = Record<CallAccess, Identify>;

const NEEDS_LOGIN = 'Log in (`POST /api/login`) and send the token as `Authorization: Bearer …`.';
const NEEDS_PASSWORD =
  'An operator chose the password of this account. Change it first: `orion passwd`, or `POST /api/me/password`. Until then the account can do nothing else.';
const NEEDS_CREDENTIAL =
  'Show the credential that the node got when it registered. If it is lost, register again with a join token. A machine that waited for approval too long is forgotten, and may register anew.';
const IS_RETIRED = "This node was retired. To enrol the machine anew, remove the agent's state directory.";

/** Tokens that one statement looks up at most, when requests arrive together. */
const LOOKUP_MAX = 64;

/**
 * Connection pools for lookups. Users are looked up in the pool of reads. Nodes have a separate pool, because agents call thousands of
 * times a second.
 */
export interface AuthSources {
  reads: Knex;
  ctx: { db: Knex; clock: Clock; logger: Logger };
  sessions: SessionLog;
}

/**
 * Creates the authenticator. It reads the user from the database at each request. The same statement checks the expiry and the revocation
 * of the token, so replicas whose clocks differ accept the same tokens.
 */
export function createAuthenticator({ reads, ctx, sessions }: AuthSources, tokens: TokenSettings): Authenticator {
  const readToken = createTokenReader(tokens);
  const findUser = createLookup(reads);
  const findNode = createNodeFinder(ctx);
  const identifySession = async (req: CallRequest, locals: CallLocals): Promise<Principal> => {
    const token = await readToken(req);
    const user = token && (await findUser(token));
    if (!user) {
      throw new OrionError('unauthenticated', NEEDS_LOGIN);
    }
    sessions.note(token, () => ({ address: callerAddressOf(req), client: req.headers['user-agent'] }));
    return (locals.principal = { user, token });
  };
  const identifyUser = async (req: CallRequest, locals: CallLocals): Promise<Principal> => {
    const principal = await identifySession(req, locals);
    if (principal.user.mustChangePassword) {
      throw new OrionError('password_change_required', NEEDS_PASSWORD);
    }
    return principal;
  };
  return {
    public: () => Promise.resolve(),
    session: async (req, locals) => {
      await identifySession(req, locals);
    },
    user: async (req, locals) => {
      await identifyUser(req, locals);
    },
    admin: async (req, locals) => {
      const { user } = await identifyUser(req, locals);
      if (user.role !== 'admin') {
        throw new OrionError('forbidden', 'Only an admin may do that.');
      }
    },
    node: (req, locals) => identifyNode(findNode, req, locals),
    machine: async (req, locals) => {
      if (req.headers.authorization !== undefined) {
        await identifyNode(findNode, req, locals);
      }
    },
  };
}

type FindUser = (token: TokenOfUser) => Promise<User | undefined>;

/**
 * Creates a lookup of users by token. Tokens that arrive while a lookup runs form the next batch. So the lookup of a token never begins
 * before the token arrived.
 */
function createLookup(db: Knex): FindUser {
  const lookups = createBatcher<TokenOfUser, User | undefined>({
    max: LOOKUP_MAX,
    work: async (tokens) => fulfilled(await findUsersOfTokens(db, tokens)),
  });
  return (token) => lookups.add(token);
}

async function identifyNode(findNode: FindNodeCaller, req: CallRequest & { originalUrl?: string }, locals: CallLocals): Promise<void> {
  const { method = '', originalUrl, url = '', headers } = req;
  const shown = readShownNode(headers.authorization, { method, path: originalUrl ?? url, body: bytesOfBody(req) });
  const caller = shown && (await findNode(shown));
  if (!caller) {
    throw new OrionError('unauthenticated', NEEDS_CREDENTIAL);
  }
  locals.seal = caller.mac?.seal;
  if (caller.status === 'retired') {
    throw new OrionError('node_retired', IS_RETIRED);
  }
  locals.caller = caller;
}
