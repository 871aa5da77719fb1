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
  /** Of those that wait for one name, one is tried in so many seconds. It is also the time for which a request waits at most. */
  everySeconds: number;
}

/** Counters in the database, shared by the replicas. */
export interface LoginCounters {
  /** Attempts on a name from places where nobody has logged in with that name. */
  name: RateLimiterMySQL;
  /** Attempts on a name from one place where somebody has. */
  place: RateLimiterMySQL;
  /** Places where somebody has logged in lately. */
  knownPlaces: RateLimiterMySQL;
  /** One attempt a turn, after `name` or `place` is used up. */
  late: RateLimiterMySQL;
}

/** The limit of guesses for one name. */
export interface LoginLimit {
  /** Resolves when the attempt may be made. Throws too_many_requests. */
  admit(req: CallRequest, gone: AbortSignal): Promise<void>;
  /** The password was right: whatever strangers do, the caller's place keeps an allowance of its own. */
  remember(req: CallRequest): Promise<void>;
}

const POLL_MS = 500;

/**
 * Strangers who guess must not lock the owner of an account out. So a place where the owner has logged in has a counter of its own, and a caller at a new
 * place waits for a turn when the counter is used up. A turn goes to any one of those that wait, and of one place only one request waits.
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
    admit: async (req, gone) => {
      const { name, place } = attemptOf(req);
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
    remember: async (req) => {
      const { place } = attemptOf(req);
      if (place !== undefined) {
        await counters.knownPlaces.set(place, 1, counters.knownPlaces.duration);
      }
    },
  };
}

/** Milliseconds until `key` may try again; undefined: it may try now. The attempt is counted in any case. */
async function refusalOf(counter: RateLimiterMySQL, key: string): Promise<number | undefined> {
  const { consumedPoints, msBeforeNext } = await count(counter, key);
  return consumedPoints > counter.points ? msBeforeNext : undefined;
}

/** The place is a name together with a range of addresses, as a hash. Undefined: the caller has no address. */
function attemptOf(req: CallRequest): { name: string; place: string | undefined } {
  const body = req.body as { username?: unknown } | undefined;
  const name = usernameKey(typeof body?.username === 'string' ? body.username : '');
  const [{ key }] = callerRangesOf(req);
  return { name, place: callerAddressOf(req) === undefined ? undefined : sha256(`${name} ${key}`) };
}
