import { createSecretKey, type KeyObject, randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import type { User } from './types';

export interface TokenSettings {
  /** Signs, and verifies. */
  key: string;
  /** Verify as well, and sign nothing: what `key` was, or is about to be. */
  extraKeys: string[];
  ttlSeconds: number;
}

/** All required when a token is checked: one algorithm, this issuer, this audience, an expiry. */
export const TOKEN_ALGORITHM = 'HS256';
export const TOKEN_ISSUER = 'orion';
export const TOKEN_AUDIENCE = 'orion-api';

/** The keys of the settings as the library wants them: of a text it tries at each token whether it is a PEM, which takes longer than all the rest. */
export interface TokenKeys {
  key: KeyObject;
  extraKeys: KeyObject[];
}

export function readTokenKeys({ key, extraKeys }: Pick<TokenSettings, 'key' | 'extraKeys'>): TokenKeys {
  const read = (text: string): KeyObject => createSecretKey(text, 'utf8');
  return { key: read(key), extraKeys: extraKeys.map(read) };
}

/** Of these keys the one that signed the token; when none did, the one that signs. No id in the token says which: it would be believed too early. */
export function keyOfToken(token: string, { key, extraKeys }: TokenKeys): KeyObject {
  return extraKeys.find((candidate) => isSignedBy(token, candidate)) ?? key;
}

function isSignedBy(token: string, key: KeyObject): boolean {
  try {
    jwt.verify(token, key, { algorithms: [TOKEN_ALGORITHM], ignoreExpiration: true });
    return true;
  } catch {
    return false;
  }
}

/** What a verified token carries. The role is not among it: it is read from the database at each request. */
export const tokenClaims = z.object({ sub: z.string().regex(/^\d{1,15}$/), jti: z.uuid(), iat: z.number(), exp: z.number().int() });

interface NewToken extends Omit<TokenSettings, 'extraKeys'> {
  /** Default: a new one. */
  tokenId?: string;
}

/** @param now by the database's clock, which also decides when the token is over */
export function issueAccessToken(user: Pick<User, 'id'>, { key, ttlSeconds, tokenId = randomUUID() }: NewToken, now: Date): string {
  const issuedAt = now.getTime() / 1000;
  return jwt.sign({ iat: issuedAt, exp: Math.floor(issuedAt + ttlSeconds) }, key, {
    algorithm: TOKEN_ALGORITHM,
    subject: String(user.id),
    issuer: TOKEN_ISSUER,
    audience: TOKEN_AUDIENCE,
    jwtid: tokenId,
  });
}
