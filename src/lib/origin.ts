import { AsyncLocalStorage } from 'node:async_hooks';

/** Where an act came from. The events that a call of the API causes store its origin. */
export interface Origin {
  /** Undefined: it came to the gateway, which has no requests. */
  requestId: string | undefined;
  /** IP address of the caller. Undefined: a trusted proxy passed on something else. */
  address: string | undefined;
  /** Id (`jti`) of the access token that the caller showed. */
  tokenId: string | undefined;
}

const origins = new AsyncLocalStorage<Origin | null>();

/** Runs `work`, and everything that it starts, as a part of the call from `origin`. Null: of no call, as for work that calls share. */
export const withOrigin = <T>(origin: Origin | null, work: () => T): T => origins.run(origin, work);

/** Returns the origin of the call that the caller is a part of. Null: of no call. */
export const currentOrigin = (): Origin | null => origins.getStore() ?? null;
