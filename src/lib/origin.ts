import { AsyncLocalStorage } from 'node:async_hooks';
import { formatTraceparent, type TraceContext } from './trace-context';

/** Where an act came from, and its place in a trace. Its events and its log lines have both. */
export interface Origin {
  /** Undefined: no request caused it. */
  requestId: string | undefined;
  /** IP address of the caller. Undefined: a trusted proxy passed on something else, or a job of Orion acts. */
  address: string | undefined;
  /** Id (`jti`) of the access token that the caller showed. */
  tokenId: string | undefined;
  /** Undefined: it was refused before a trace began. */
  trace?: TraceContext | undefined;
  /** The trace of the act that ordered this work. Undefined: this trace begins with the act. */
  causeTraceId?: string | undefined;
}

const origins = new AsyncLocalStorage<Origin | null>();

/** Runs `work`, and everything that it starts, as a part of the call from `origin`. Null: of no call, as for work that calls share. */
export const withOrigin = <T>(origin: Origin | null, work: () => T): T => origins.run(origin, work);

/** Returns the origin of the call that the caller is a part of. Null: of no call. */
export const currentOrigin = (): Origin | null => origins.getStore() ?? null;

/** The act that orders work for later, as the row of the work stores it. Null: unknown. */
export interface Cause {
  traceparent: string | null;
  requestId: string | null;
}

/** Returns the current act as the cause of work that it orders. */
export function causeOf(origin: Origin | null = currentOrigin()): Cause {
  return { traceparent: origin?.trace ? formatTraceparent(origin.trace) : null, requestId: origin?.requestId ?? null };
}

/** Returns the ids that every log line of the current act has. */
export function currentIds(): Record<string, string> {
  const { requestId, trace, causeTraceId } = currentOrigin() ?? {};
  return {
    ...(requestId !== undefined && { requestId }),
    ...(trace && { traceId: trace.traceId }),
    ...(causeTraceId !== undefined && { causeTraceId }),
  };
}
