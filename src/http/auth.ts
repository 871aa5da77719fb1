import type { Request, RequestHandler } from 'express';
import type { Knex } from 'knex';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { OrionError } from '../lib/errors';
import { sha256 } from '../lib/ids';
import { findUserOfToken, keyOfToken, type Principal, TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, tokenClaims, type TokenSettings } from '../modules/accounts';
import { findNodeByCredential, type Node } from '../modules/nodes';

/** Who may call a route. `node`: an agent with its node's credential. */
export type Access = 'public' | 'user' | 'admin' | 'node';

export interface Authenticator {
  user: RequestHandler;
  admin: RequestHandler;
  node: RequestHandler;
  /** Sets `res.locals.node` if a credential is shown; a wrong one is refused, none is fine. */
  optionalNode: RequestHandler;
}

const NEEDS_LOGIN = 'Log in (`POST /api/login`) and send the token as `Authorization: Bearer …`.';

/**
 * Passport checks the JWT: one algorithm, issuer and audience, all required. The user is read anew at each request, and that statement judges
 * the expiry too: replicas whose clocks differ take the same tokens.
 */
export function createAuthenticator(db: Knex, tokens: TokenSettings): Authenticator {
  const strategy = new Strategy(
    {
      secretOrKeyProvider: (_req: Request, token: string, done: (error: null, key: string) => void) => done(null, keyOfToken(token, tokens)),
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      algorithms: [TOKEN_ALGORITHM],
      issuer: TOKEN_ISSUER,
      audience: TOKEN_AUDIENCE,
      ignoreExpiration: true,
    },
    (payload: unknown, done) => {
      findPrincipal(db, payload).then(
        (principal) => done(null, principal ?? false),
        (error: unknown) => done(error, false),
      );
    },
  );
  const instance = new passport.Passport();
  instance.use(strategy);

  const user: RequestHandler = (req, res, next) => {
    const check = instance.authenticate('jwt', { session: false }, (error: unknown, principal: Principal | false) => {
      if (error) {
        next(error);
        return;
      }
      if (!principal) {
        next(new OrionError('unauthenticated', NEEDS_LOGIN));
        return;
      }
      res.locals.principal = principal;
      next();
    }) as RequestHandler;
    try {
      void check(req, res, next);
    } catch {
      // jsonwebtoken throws on a payload that is no object, even when it is signed.
      next(new OrionError('unauthenticated', NEEDS_LOGIN));
    }
  };
  const admin: RequestHandler = (req, res, next) => {
    void user(req, res, (error?: unknown) => {
      const refused = error ?? ((res.locals.principal as Principal).user.role === 'admin' ? undefined : new OrionError('forbidden', 'Only an admin may do that.'));
      next(refused);
    });
  };
  return { user, admin, node: nodeGuard(db, true), optionalNode: nodeGuard(db, false) };
}

async function findPrincipal(db: Knex, payload: unknown): Promise<Principal | undefined> {
  const claims = tokenClaims.safeParse(payload);
  if (!claims.success) {
    return undefined;
  }
  const { sub, jti, exp } = claims.data;
  const user = await findUserOfToken(db, { userId: Number(sub), tokenId: jti, expiresAtSeconds: exp });
  return user && { user, tokenId: jti, tokenExpiresAtSeconds: exp };
}

function bearerOf(req: Request): string | null {
  const [scheme, token] = (req.headers.authorization ?? '').split(' ');
  return scheme?.toLowerCase() === 'bearer' && token ? token : null;
}

function nodeGuard(db: Knex, required: boolean): RequestHandler {
  return async (req, res, next) => {
    const credential = bearerOf(req);
    if (credential === null && !required) {
      next();
      return;
    }
    const node: Node | undefined = credential === null ? undefined : await findNodeByCredential(db, sha256(credential));
    if (!node) {
      throw new OrionError('unauthenticated', 'Send the credential that the node got when it registered. If it is lost, register again with a join token.');
    }
    if (node.status === 'retired') {
      throw new OrionError('node_retired', 'This node was retired. To enrol the machine anew, remove the agent\'s state directory.');
    }
    res.locals.node = node;
    next();
  };
}
