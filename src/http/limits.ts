import type { Request, RequestHandler } from 'express';
import type { Knex } from 'knex';
import { RateLimiterMySQL, RateLimiterRes } from 'rate-limiter-flexible';
import { databaseName } from '../db/sql';
import { OrionError } from '../lib/errors';
import { sha256 } from '../lib/ids';
import { callerAddressOf } from './caller-address';

export interface LimitSettings {
  /** Logins per address in five minutes. */
  loginsPerAddress: number;
  /** Logins per username in five minutes. */
  loginsPerName: number;
  /** New accounts per address in an hour. */
  signupsPerAddress: number;
  /** Registrations without a node credential per address in a minute: guessing join tokens must not be cheap. */
  registrationsPerAddress: number;
}

export interface Limits {
  login: RequestHandler[];
  signup: RequestHandler[];
  register: RequestHandler[];
}

/** Limits that all replicas share, since they count in the database. They come before any password is hashed. */
export function createLimits(db: Knex, settings: LimitSettings): Limits {
  const limit = (name: string, points: number, seconds: number): RateLimiterMySQL =>
    new RateLimiterMySQL({ storeClient: db, storeType: 'knex', dbName: databaseName(db), tableName: 'rate_limits', tableCreated: true, keyPrefix: name, points, duration: seconds });
  const guard =
    (limiter: RateLimiterMySQL, keyOf: (req: Request) => string): RequestHandler =>
    async (req, _res, next) => {
      try {
        await limiter.consume(keyOf(req));
      } catch (error) {
        throw error instanceof RateLimiterRes
          ? new OrionError('too_many_requests', 'Too many attempts. Wait as long as Retry-After says.', { retryAfterSeconds: Math.max(1, error.msBeforeNext / 1000) })
          : error;
      }
      next();
    };
  const byAddress = (req: Request): string => callerAddressOf(req) ?? 'unknown';
  // As a hash: people type their password into the field above it, and it would stand in the table.
  const byName = (req: Request): string => {
    const body = req.body as { username?: unknown } | undefined;
    return typeof body?.username === 'string' ? sha256(body.username.slice(0, 64).toLowerCase()) : 'none';
  };
  return {
    login: [guard(limit('login_address', settings.loginsPerAddress, 300), byAddress), guard(limit('login_name', settings.loginsPerName, 300), byName)],
    signup: [guard(limit('signup_address', settings.signupsPerAddress, 3600), byAddress)],
    register: [
      (req, res, next) =>
        res.locals.node === undefined ? guard(limit('register_address', settings.registrationsPerAddress, 60), byAddress)(req, res, next) : next(),
    ],
  };
}
