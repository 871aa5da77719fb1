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

/** Settings of the rate limits. An address counts for each range that `rangesOf` returns. */
export interface LimitSettings {
  /** Logins per address in five minutes. */
  loginsPerAddress: number;
  /** Logins per username in five minutes. Each place where the user has logged in before has a limit of the same size. */
  loginsPerName: number;
  lateLogins: LateLogins;
  /** New accounts per address in an hour. */
  signupsPerAddress: number;
  /** Registrations without a node credential, per address and minute. The limit makes it expensive to guess join tokens. */
  registrationsPerAddress: number;
  /** Registrations with one node's credential, per minute. Each costs a probe and a wipe. */
  registrationsPerNode: number;
}

export interface Limits {
  /** Of calls with a password or a one-time code. */
  login: RequestHandler[];
  /** Callers must call it after a successful login. */
  loggedIn: (req: CallRequest) => Promise<void>;
  signup: RequestHandler[];
  register: RequestHandler[];
}

const KNOWN_PLACE_SECONDS = 30 * 86_400;
const MINUTES_5 = 300;

/** Creates the rate limits. All replicas share them, because the counters are in the database. They run before any password is hashed. */
export function createLimits(db: Knex, settings: LimitSettings, clock: Clock): Limits {
  const limit = (name: string, points: number, seconds: number): RateLimiterMySQL =>
    new RateLimiterMySQL({
      storeClient: db,
      storeType: 'knex',
      dbName: databaseName(db),
      tableName: 'rate_limits',
      tableCreated: true,
      keyPrefix: name,
      points,
      duration: seconds,
    });
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
    loggedIn: (req) => byName.remember({ req, username: undefined }),
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

/**
 * Creates a limit by address. It counts the narrowest range first, so that a refused caller does not use up the allowance of its
 * neighbours.
 */
function byAddress(counter: RateLimiterMySQL): RequestHandler {
  return async (req, _res, next) => {
    for (const range of callerRangesOf(req)) {
      await consume(counter, range);
    }
    next();
  };
}

/** Counts one attempt. Throws too_many_requests once `share` times the counter's points are used up. */
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
    const { principal } = res.locals as CallLocals;
    await limit.admit({ req, username: principal?.user.username }, gone.signal).finally(() => res.off('close', leave));
    next();
  };
}
