import { createSecretKey, type KeyObject, randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import type { User } from './types';

export interface TokenSettings {
  /** Signs tokens and verifies them. */
  key: string;
  /** Verify tokens and sign none: keys that `key` was before, or will be next. */
  extraKeys: string[];
  ttlSeconds: number;
}

/** All required when a token is checked: one algorithm, this issuer, this audience, an expiry. */
export const TOKEN_ALGORITHM = 'HS256';
export const TOKEN_ISSUER = 'orion';
export const TOKEN_AUDIENCE = 'orion-api';

/**
 * The keys of the settings, as key objects. With a key as text, the library checks for each token whether the text is a PEM, which takes
 * longer than everything else.
 */
export interface TokenKeys {
  key: KeyObject;
  extraKeys: KeyObject[];
}

export function readTokenKeys({ key, extraKeys }: Pick<TokenSettings, 'key' | 'extraKeys'>): TokenKeys {
  const read = (text: string): KeyObject => createSecretKey(text, 'utf8');
  return { key: read(key), extraKeys: extraKeys.map(read) };
}

/**
 * Returns the key that signed the token, or the signing key if none of them did. No key id in the token selects the key: it would be
 * believed before it is verified.
 */
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

/** The claims of a verified token. The role is not a claim: each request reads it from the database. */
export const tokenClaims = z.object({ sub: z.string().regex(/^\d{1,15}$/), jti: z.uuid(), iat: z.number(), exp: z.number().int() });

interface NewToken extends Omit<TokenSettings, 'extraKeys'> {
  /** Default: a new one. */
  tokenId?: string;
}

/** @param now time by the database's clock, which also decides when the token expires */
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
