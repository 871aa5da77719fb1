import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler } from 'express';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import {
  keyOfToken,
  readTokenKeys,
  TOKEN_ALGORITHM,
  TOKEN_AUDIENCE,
  TOKEN_ISSUER,
  tokenClaims,
  type TokenOfUser,
  type TokenSettings,
} from '../modules/accounts';

/**
 * Reads the token of a request. Returns undefined when the request has no token that this control plane signed. It does not check whether
 * the token has expired or was revoked.
 */
export type ReadToken = (req: IncomingMessage) => Promise<TokenOfUser | undefined>;

/** Tokens that one reader caches at most: about 3 MB. */
const MAX_REMEMBERED = 5_000;
const MAX_HEADER_LENGTH = 512;

/**
 * Creates a reader whose tokens Passport verifies: algorithm, issuer and audience are all required. The result cannot change while the
 * process runs, so verified tokens are cached. The reader ignores the expiry; the database checks it at each request.
 */
export function createTokenReader(tokens: TokenSettings): ReadToken {
  const check = createCheck(tokens);
  const remembered = new Map<string, TokenOfUser>();
  return async (req) => {
    const { authorization = '' } = req.headers;
    const known = remembered.get(authorization);
    if (known) {
      return known;
    }
    const token = await check(req);
    if (token && authorization.length <= MAX_HEADER_LENGTH) {
      remembered.set(authorization, token);
      forgetOldest(remembered);
    }
    return token;
  };
}

function forgetOldest(remembered: Map<string, TokenOfUser>): void {
  const [oldest] = remembered.size > MAX_REMEMBERED ? remembered.keys() : [];
  if (oldest !== undefined) {
    remembered.delete(oldest);
  }
}

function createCheck(tokens: TokenSettings): ReadToken {
  const keys = readTokenKeys(tokens);
  const strategy = new Strategy(
    {
      // The types of passport-jwt do not know KeyObject. jsonwebtoken, which receives the key, accepts it.
      secretOrKeyProvider: (_req: Request, token: string, done: (error: null, key: never) => void) =>
        done(null, keyOfToken(token, keys) as never),
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      algorithms: [TOKEN_ALGORITHM],
      issuer: TOKEN_ISSUER,
      audience: TOKEN_AUDIENCE,
      ignoreExpiration: true,
    },
    (payload: unknown, done) => done(null, toToken(payload) ?? false),
  );
  const instance = new passport.Passport();
  instance.use(strategy);
  return (req) =>
    new Promise((resolve, reject) => {
      const done = (error: Error | null, token: TokenOfUser | false): void => (error ? reject(error) : resolve(token || undefined));
      const authenticate = instance.authenticate('jwt', { session: false }, done) as RequestHandler;
      try {
        // With a callback, Passport sends no answer and does not call `next`.
        void authenticate(req as Request, undefined as never, reject);
      } catch {
        // jsonwebtoken throws when the payload is not an object, even if the token is signed.
        resolve(undefined);
      }
    });
}

function toToken(payload: unknown): TokenOfUser | undefined {
  const claims = tokenClaims.safeParse(payload);
  return claims.success
    ? { userId: Number(claims.data.sub), tokenId: claims.data.jti, issuedAtSeconds: claims.data.iat, expiresAtSeconds: claims.data.exp }
    : undefined;
}
