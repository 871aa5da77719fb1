import type { RequestHandler } from 'express';
import type { Knex } from 'knex';
import { RateLimiterMySQL } from 'rate-limiter-flexible';
import { databaseName } from '../db/sql';
import type { AddressRange } from '../lib/address-key';
import type { Clock } from '../lib/clock';
import { callerRangesOf } from './caller-address';
import { createLoginLimit, type LateLogins, type LoginLimit } from './login-limits';
import { count, tooManyRequests } from './counters';
import type { CallLocals, CallRequest } from './call';

/** An address is counted as `rangesOf` counts it. */
export interface LimitSettings {
  /** Logins per address in five minutes. */
  loginsPerAddress: number;
  /** Logins per username in five minutes, and as many from each place where the user has logged in before. */
  loginsPerName: number;
  lateLogins: LateLogins;
  /** New accounts per address in an hour. */
  signupsPerAddress: number;
  /** Registrations without a node credential per address in a minute: guessing join tokens must not be cheap. */
  registrationsPerAddress: number;
  /** Registrations with one node's credential in a minute: each costs a probe and a wipe. */
  registrationsPerNode: number;
}

export interface Limits {
  login: RequestHandler[];
  /** To be called when a login succeeded. */
  loggedIn: (req: CallRequest) => Promise<void>;
  signup: RequestHandler[];
  register: RequestHandler[];
}

const KNOWN_PLACE_SECONDS = 30 * 86_400;
const MINUTES_5 = 300;

/** Limits that all replicas share, since they count in the database. They come before any password is hashed. */
export function createLimits(db: Knex, settings: LimitSettings, clock: Clock): Limits {
  const limit = (name: string, points: number, seconds: number): RateLimiterMySQL =>
    new RateLimiterMySQL({ storeClient: db, storeType: 'knex', dbName: databaseName(db), tableName: 'rate_limits', tableCreated: true, keyPrefix: name, points, duration: seconds });
  const { loginsPerAddress, loginsPerName, lateLogins, signupsPerAddress, registrationsPerAddress, registrationsPerNode } = settings;
  const byName = createLoginLimit(
    {
      name: limit('login_name', loginsPerName, MINUTES_5),
      place: limit('login_place', loginsPerName, MINUTES_5),
      knownPlaces: limit('login_known', 1, KNOWN_PLACE_SECONDS),
      late: limit('login_late', 1, lateLogins.everySeconds),
    },
    lateLogins,
    clock,
  );
  const registrations = byAddress(limit('register_address', registrationsPerAddress, 60));
  const registrationsOfNode = limit('register_node', registrationsPerNode, 60);
  return {
    login: [byAddress(limit('login_address', loginsPerAddress, MINUTES_5)), guardLogin(byName)],
    loggedIn: (req) => byName.remember(req),
    signup: [byAddress(limit('signup_address', signupsPerAddress, 3600))],
    register: [
      async (req, res, next) => {
        const { caller } = res.locals as CallLocals;
        if (caller === undefined) {
          return registrations(req, res, next);
        }
        await consume(registrationsOfNode, { key: String(caller.nodeId), share: 1 });
        next();
      },
    ],
  };
}

/** The narrowest range comes first, so that one caller who is refused does not use up what its neighbours have. */
function byAddress(counter: RateLimiterMySQL): RequestHandler {
  return async (req, _res, next) => {
    for (const range of callerRangesOf(req)) {
      await consume(counter, range);
    }
    next();
  };
}

/** Counts one more. Throws too_many_requests once `share` times the counter's points are used up. */
async function consume(counter: RateLimiterMySQL, { key, share }: AddressRange): Promise<void> {
  const { consumedPoints, msBeforeNext } = await count(counter, key);
  if (consumedPoints > counter.points * share) {
    throw tooManyRequests(msBeforeNext);
  }
}

function guardLogin(limit: LoginLimit): RequestHandler {
  return async (req, res, next) => {
    const gone = new AbortController();
    const leave = (): void => gone.abort();
    res.once('close', leave);
    await limit.admit(req, gone.signal).finally(() => res.off('close', leave));
    next();
  };
}
