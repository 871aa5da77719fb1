import type { RateLimiterMySQL } from 'rate-limiter-flexible';
import type { Clock } from '../lib/clock';
import { sha256 } from '../lib/ids';
import { usernameKey } from '../modules/accounts';
import type { CallRequest } from './call';
import { callerAddressOf, callerRangesOf } from './caller-address';
import { count, tooManyRequests } from './counters';

export interface LateLogins {
  /** Requests that may wait in one replica at the same time. */
  waiting: number;
  /** Seconds in which one of the requests that wait for the same name may try. Also the longest time that a request waits. */
  everySeconds: number;
}

/** Counters in the database, shared by the replicas. */
export interface LoginCounters {
  /** Attempts on a name from places where nobody has logged in with that name. */
  name: RateLimiterMySQL;
  /** Attempts on a name from one place where somebody has logged in with that name. */
  place: RateLimiterMySQL;
  /** Places where somebody has logged in recently. */
  knownPlaces: RateLimiterMySQL;
  /** Allows one attempt per turn, after `name` or `place` is used up. */
  late: RateLimiterMySQL;
}

/** A request with a password or a one-time code. */
interface Attempt {
  req: CallRequest;
  /** Name of the caller, who is logged in. Undefined: the body contains the name. */
  username: string | undefined;
}

/** Limits guesses of the password for one name. */
export interface LoginLimit {
  /** Resolves when the attempt may be made. Throws too_many_requests. */
  admit(attempt: Attempt, gone: AbortSignal): Promise<void>;
  /**
   * Remembers the caller's place after a correct password. From then on that place has its own counter, which strangers elsewhere cannot
   * use up.
   */
  remember(attempt: Attempt): Promise<void>;
}

const POLL_MS = 500;

/**
 * Creates the limit. Strangers who guess passwords must not lock the owner out of an account. So a place where the owner has logged in has
 * its own counter. When a counter is used up, a request waits for a turn. Any of the waiting requests may get the turn, and only one
 * request per place waits.
 */
export function createLoginLimit(counters: LoginCounters, { waiting: maxWaiting, everySeconds }: LateLogins, clock: Clock): LoginLimit {
  const waiting = new Set<string>();
  const waitForTurn = async (key: string, gone: AbortSignal): Promise<boolean> => {
    const deadline = clock.monotonicMs() + everySeconds * 1000;
    const mayWait = (): boolean => !gone.aborted && clock.monotonicMs() < deadline;
    while (mayWait()) {
      await clock.sleep(POLL_MS * (0.5 + Math.random()), gone);
      if (mayWait() && (await refusalOf(counters.late, key)) === undefined) {
        return true;
      }
    }
    return false;
  };
  return {
    admit: async (attempt, gone) => {
      const { name, place } = keysOf(attempt);
      const known = place !== undefined && (await counters.knownPlaces.get(place)) !== null;
      const key = known ? place : name;
      const refusal = await refusalOf(known ? counters.place : counters.name, key);
      if (refusal === undefined) {
        return;
      }
      const waiter = place ?? name;
      if (waiting.size >= maxWaiting || waiting.has(waiter)) {
        throw tooManyRequests(refusal);
      }
      waiting.add(waiter);
      const admitted = await waitForTurn(key, gone).finally(() => waiting.delete(waiter));
      if (!admitted) {
        throw tooManyRequests(refusal);
      }
    },
    remember: async (attempt) => {
      const { place } = keysOf(attempt);
      if (place !== undefined) {
        await counters.knownPlaces.set(place, 1, counters.knownPlaces.duration);
      }
    },
  };
}

/** Counts an attempt. Returns the milliseconds until `key` may try again, or undefined when it may try now. */
async function refusalOf(counter: RateLimiterMySQL, key: string): Promise<number | undefined> {
  const { consumedPoints, msBeforeNext } = await count(counter, key);
  return consumedPoints > counter.points ? msBeforeNext : undefined;
}

/**
 * Returns the name and the place of an attempt. The place is a hash of the name and a range of addresses. Undefined: the caller has no
 * address.
 */
function keysOf({ req, username }: Attempt): { name: string; place: string | undefined } {
  const named = username ?? (req.body as { username?: unknown } | undefined)?.username;
  const name = usernameKey(typeof named === 'string' ? named : '');
  const [{ key }] = callerRangesOf(req);
  return { name, place: callerAddressOf(req) === undefined ? undefined : sha256(`${name} ${key}`) };
}
