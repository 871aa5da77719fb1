import { AsyncLocalStorage } from 'node:async_hooks';

/** Where a call of the API came from. The events that the call causes store it. */
export interface Origin {
  requestId: string;
  /** IP address of the caller. Undefined: a trusted proxy passed on something else. */
  address: string | undefined;
  /** Id (`jti`) of the access token that the caller showed. */
  tokenId: string | undefined;
}

const origins = new AsyncLocalStorage<Origin | null>();

/** Runs `work` and everything that it starts as a part of the call from `origin`. Null: of no call, as for work that several calls share. */
export const withOrigin = <T>(origin: Origin | null, work: () => T): T => origins.run(origin, work);

/** Returns the origin of the call that the caller is a part of. Null: of no call. */
export const currentOrigin = (): Origin | null => origins.getStore() ?? null;
