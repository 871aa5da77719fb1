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

const REQUEST_ID = /^[\w-]{1,64}$/;

/** The request's id: a trusted caller's own, or a new one. */
export function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

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
