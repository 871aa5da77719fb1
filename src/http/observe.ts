import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { withOrigin } from '../lib/origin';
import type { Metrics } from '../modules/telemetry';
import type { CallLocals } from './call';

export interface Observing {
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
}

/**
 * Creates the id of a request, which is in the answer and in the log. The caller's own `X-Request-Id` is not used, because a caller could
 * make its log lines look like those of another.
 */
export const newRequestId = (): string => randomUUID();

export interface Answered {
  req: IncomingMessage;
  res: ServerResponse;
  locals: CallLocals;
  /** Monotonic time in ms. */
  startedAt: number;
  route: string;
}

/** Logs the end of a request and measures its duration. */
export function noteAnswer({ logger, metrics, clock }: Observing, { req, res, locals, startedAt, route }: Answered): void {
  const durationMs = clock.monotonicMs() - startedAt;
  const method = req.method ?? '';
  metrics.httpSeconds.observe({ method, route, status: String(res.statusCode) }, durationMs / 1000);
  const { requestId, origin = null, principal } = locals;
  const fields = { requestId, method, route, status: res.statusCode, durationMs: Math.round(durationMs), userId: principal?.user.id };
  withOrigin(origin, () => logger.debug('request', fields));
}
