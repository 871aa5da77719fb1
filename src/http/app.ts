import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import express, { type Express, type RequestHandler, Router } from 'express';
import helmet from 'helmet';
import type { Clock } from '../lib/clock';
import { OrionError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Metrics } from '../modules/telemetry';
import { addAccountRoutes } from './accounts/router';
import { createAuthenticator } from './auth';
import type { ApiDeps } from './deps';
import { createRegistry, generateOpenApi } from './docs/openapi';
import { createDocsRouter } from './docs/router';
import { createHealthRouter, type HealthDeps } from './health/router';
import { createInstallRouter } from './install/router';
import { addLeaseRoutes } from './leases/router';
import { addNodeRoutes } from './nodes/router';
import { createErrorHandler, notFound } from './problem';
import { createRouteMaker } from './route';
import { addWorkerRoutes } from './workers/router';

const BODY_LIMIT = '64kb';
const REQUEST_ID = /^[\w-]{1,64}$/;

interface Observing {
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
}

/** Gives each request an id (a trusted caller's own is kept), logs its end, measures it. */
function observe({ logger, metrics, clock }: Observing): RequestHandler {
  return (req, res, next) => {
    const given = req.get('X-Request-Id') ?? '';
    const requestId = REQUEST_ID.test(given) ? given : randomUUID();
    const startedAt = clock.monotonicMs();
    res.locals.requestId = requestId;
    res.setHeader('X-Request-Id', requestId);
    res.on('close', () => {
      const durationMs = clock.monotonicMs() - startedAt;
      const route = (req.route as { path?: string } | undefined)?.path ?? 'none';
      metrics.httpSeconds.observe({ method: req.method, route, status: String(res.statusCode) }, durationMs / 1000);
      const { user } = (res.locals.principal as { user?: { id: number } } | undefined) ?? {};
      logger.debug('request', { requestId, method: req.method, route, status: res.statusCode, durationMs: Math.round(durationMs), userId: user?.id });
    });
    next();
  };
}

/** While the replica stops, each answer is the last on its connection: the proxy then takes the next request elsewhere. */
function sayGoodbye(stopping: AbortSignal): RequestHandler {
  return (_req, res, next) => {
    if (stopping.aborted) {
      res.shouldKeepAlive = false;
    }
    next();
  };
}

/** JSON is UTF-8 (RFC 8259, section 8.1). Bytes that are none would otherwise be replaced, and two different passwords be one. */
function requireUtf8(...[, , body, encoding]: [unknown, unknown, Buffer, string]): void {
  if (encoding !== 'utf-8' || !isUtf8(body)) {
    throw new OrionError('unsupported_media_type', 'Send the body as UTF-8.');
  }
}

/** Health routes alone: what a role without an API serves. */
export function createOpsApp(health: HealthDeps): Express {
  const app = express().disable('x-powered-by');
  app.use(createHealthRouter(health));
  return app;
}

/** The whole API. It holds no state: any replica serves any request (R16). */
export function createApp({ api, health }: { api: ApiDeps; health: HealthDeps }): Express {
  const { ctx, settings } = api;
  const { stopping } = health.readiness;
  const app = express().disable('x-powered-by').disable('etag').set('trust proxy', settings.trustProxy).set('query parser', 'simple');
  const router = Router();
  const registry = createRegistry();
  const auth = createAuthenticator(ctx.db, ctx.tokens);
  const routes = createRouteMaker({ router, registry, auth });
  addAccountRoutes(routes, api);
  addLeaseRoutes(routes, api);
  addNodeRoutes(routes, api, stopping);
  addWorkerRoutes(routes, api, auth);

  app.use(sayGoodbye(stopping));
  app.use(createHealthRouter(health));
  app.use(observe({ logger: ctx.logger, metrics: ctx.metrics, clock: ctx.clock }));
  app.use(helmet());
  app.use(express.json({ limit: BODY_LIMIT, strict: true, verify: requireUtf8 }));
  app.use(router);
  app.use(createInstallRouter(settings.publicUrl));
  app.use(createDocsRouter(generateOpenApi(registry)));
  app.use(notFound);
  app.use(createErrorHandler(ctx.logger));
  return app;
}
