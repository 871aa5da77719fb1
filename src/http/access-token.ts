import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler } from 'express';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { keyOfToken, readTokenKeys, TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, tokenClaims, type TokenOfUser, type TokenSettings } from '../modules/accounts';

/** What a request's token says; undefined: it shows none that this control plane signed. Whether it is still good is another question. */
export type ReadToken = (req: IncomingMessage) => Promise<TokenOfUser | undefined>;

/** About 3 MB. */
const MAX_REMEMBERED = 5_000;
const MAX_HEADER_LENGTH = 512;

/**
 * Passport checks the JWT: one algorithm, issuer and audience, all required. Nothing of that changes while the process runs, so what was found good is
 * remembered; its end is not looked at here, but by the database at each request.
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
      // The types know of no KeyObject; jsonwebtoken, to whom it is handed on, does.
      secretOrKeyProvider: (_req: Request, token: string, done: (error: null, key: never) => void) => done(null, keyOfToken(token, keys) as never),
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
      const settle = (error: Error | null, token: TokenOfUser | false): void => (error ? reject(error) : resolve(token || undefined));
      const authenticate = instance.authenticate('jwt', { session: false }, settle) as RequestHandler;
      try {
        // With a callback Passport leaves the answer alone, and calls nothing next.
        void authenticate(req as Request, undefined as never, reject);
      } catch {
        // jsonwebtoken throws on a payload that is no object, even when it is signed.
        resolve(undefined);
      }
    });
}

function toToken(payload: unknown): TokenOfUser | undefined {
  const claims = tokenClaims.safeParse(payload);
  return claims.success ? { userId: Number(claims.data.sub), tokenId: claims.data.jti, issuedAtSeconds: claims.data.iat, expiresAtSeconds: claims.data.exp } : undefined;
}
