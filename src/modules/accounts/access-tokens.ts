import { randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import type { User } from './types';

export interface TokenSettings {
  key: string;
  ttlSeconds: number;
}

/** All required when a token is checked: one algorithm, this issuer, this audience, an expiry. */
export const TOKEN_ALGORITHM = 'HS256';
export const TOKEN_ISSUER = 'orion';
export const TOKEN_AUDIENCE = 'orion-api';

/** What a verified token carries. The role is not among it: it is read from the database at each request. */
export const tokenClaims = z.object({ sub: z.string().regex(/^\d{1,15}$/), jti: z.uuid(), exp: z.number().int() });

export function issueAccessToken(user: Pick<User, 'id'>, { key, ttlSeconds }: TokenSettings): string {
  return jwt.sign({}, key, {
    algorithm: TOKEN_ALGORITHM,
    subject: String(user.id),
    issuer: TOKEN_ISSUER,
    audience: TOKEN_AUDIENCE,
    jwtid: randomUUID(),
    expiresIn: ttlSeconds,
  });
}
