import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import type { Knex } from 'knex';
import { OrionError } from '../lib/errors';
import { createBatcher, fulfilled } from '../lib/batcher';
import { findUsersOfTokens, type Principal, type TokenOfUser, type TokenSettings, type User } from '../modules/accounts';
import { createTokenReader } from './access-token';
import { bytesOfBody } from './body';
import { findNodeCaller, readShownNode } from './node-caller';

export interface Authenticator {
  /** Who shows a token that is good at this moment; undefined: nobody. */
  findPrincipal: (req: IncomingMessage) => Promise<Principal | undefined>;
  user: RequestHandler;
  admin: RequestHandler;
  node: RequestHandler;
  /** Sets `res.locals.caller` if a credential is shown; a wrong one is refused, none is fine. */
  optionalNode: RequestHandler;
}

const NEEDS_LOGIN = 'Log in (`POST /api/login`) and send the token as `Authorization: Bearer …`.';

/** Tokens at most that are looked up in one statement, when they come together. */
const LOOKUP_MAX = 64;

/** Users are looked up among the reads; nodes, whose agents call thousands of times a second, in the large pool. */
export interface AuthSources {
  reads: Knex;
  ctx: { db: Knex };
}

/** The user is read anew at each request, and that statement judges the token's end and revocation too: replicas whose clocks differ take the same tokens. */
export function createAuthenticator({ reads, ctx: { db } }: AuthSources, tokens: TokenSettings): Authenticator {
  const readToken = createTokenReader(tokens);
  const findUser = createLookup(reads);
  const findPrincipal = async (req: IncomingMessage): Promise<Principal | undefined> => {
    const token = await readToken(req);
    const user = token && (await findUser(token));
    return user && { user, token };
  };
  const user: RequestHandler = async (req, res, next) => {
    const principal = await findPrincipal(req);
    if (!principal) {
      throw new OrionError('unauthenticated', NEEDS_LOGIN);
    }
    res.locals.principal = principal;
    next();
  };
  const admin: RequestHandler = async (req, res, next) => {
    await user(req, res, () => undefined);
    if ((res.locals.principal as Principal).user.role !== 'admin') {
      throw new OrionError('forbidden', 'Only an admin may do that.');
    }
    next();
  };
  return { findPrincipal, user, admin, node: nodeGuard(db, true), optionalNode: nodeGuard(db, false) };
}

type FindUser = (token: TokenOfUser) => Promise<User | undefined>;

/** Tokens that come while others are being looked up are looked up together, after them: each is judged by what is so when it was shown, or later. */
function createLookup(db: Knex): FindUser {
  const lookups = createBatcher<TokenOfUser, User | undefined>({ max: LOOKUP_MAX, work: async (tokens) => fulfilled(await findUsersOfTokens(db, tokens)) });
  return (token) => lookups.add(token);
}

function nodeGuard(db: Knex, required: boolean): RequestHandler {
  return async (req, res, next) => {
    const shown = readShownNode(req.headers.authorization, { method: req.method, path: req.originalUrl, body: bytesOfBody(req) });
    if (!shown && req.headers.authorization === undefined && !required) {
      next();
      return;
    }
    const caller = shown && (await findNodeCaller(db, shown));
    if (!caller) {
      throw new OrionError('unauthenticated', 'Show the credential that the node got when it registered. If it is lost, register again with a join token. A machine that waited for approval too long is forgotten, and may register anew.');
    }
    res.locals.seal = caller.mac?.seal;
    if (caller.node.status === 'retired') {
      throw new OrionError('node_retired', 'This node was retired. To enrol the machine anew, remove the agent\'s state directory.');
    }
    res.locals.caller = caller;
    next();
  };
}
