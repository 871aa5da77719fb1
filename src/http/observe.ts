import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Metrics } from '../modules/telemetry';

export interface Observing {
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
}

/** The id of a request, in its answer and in the log. A caller's own `X-Request-Id` is not taken over: its lines in the log could be made to look like another's. */
export const newRequestId = (): string => randomUUID();

export interface Answered {
  req: IncomingMessage;
  res: ServerResponse;
  requestId: string;
  /** Monotonic. */
  startedAt: number;
  route: string;
  userId?: number | undefined;
}

/** Logs the end of a request and measures it. */
export function noteAnswer({ logger, metrics, clock }: Observing, { req, res, requestId, startedAt, route, userId }: Answered): void {
  const durationMs = clock.monotonicMs() - startedAt;
  const method = req.method ?? '';
  metrics.httpSeconds.observe({ method, route, status: String(res.statusCode) }, durationMs / 1000);
  logger.debug('request', { requestId, method, route, status: res.statusCode, durationMs: Math.round(durationMs), userId });
}
