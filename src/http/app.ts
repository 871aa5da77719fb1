import type { RequestListener } from 'node:http';
import express, { type Express, type RequestHandler, Router } from 'express';
import helmet from 'helmet';
import { createHeartbeatRhythm } from '../flows/heartbeat-rhythm';
import { addAccountRoutes } from './accounts/router';
import { createAuthenticator } from './auth';
import { BODY_LIMIT_BYTES, requireUtf8 } from './body';
import type { ApiDeps } from './deps';
import { createRegistry, generateOpenApi } from './docs/openapi';
import { createDocsRouter } from './docs/router';
import { createDoors } from './door';
import { createHealthRouter, type HealthDeps } from './health/router';
import { createInstallRouter } from './install/router';
import { createRent } from './leases/rent';
import { createRentDoor } from './leases/rent-door';
import { addLeaseRoutes } from './leases/router';
import { addNodeRoutes } from './nodes/router';
import { noteAnswer, type Observing, requestIdOf } from './observe';
import { createErrorHandler, notFound } from './problem';
import { createRouteMaker } from './route';
import { createHeartbeatDoor } from './workers/heartbeat-door';
import { addWorkerRoutes } from './workers/router';

/** Gives each request an id (a trusted caller's own is kept), logs its end, measures it. */
function observe(observing: Observing): RequestHandler {
  return (req, res, next) => {
    const requestId = requestIdOf(req);
    const startedAt = observing.clock.monotonicMs();
    res.locals.requestId = requestId;
    res.setHeader('X-Request-Id', requestId);
    res.on('close', () => {
      const route = (req.route as { path?: string } | undefined)?.path ?? 'none';
      const { user } = (res.locals.principal as { user?: { id: number } } | undefined) ?? {};
      noteAnswer(observing, { req, res, requestId, startedAt, route, userId: user?.id });
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

/** Health routes alone: what a role without an API serves. */
export function createOpsApp(health: HealthDeps): Express {
  const app = express().disable('x-powered-by');
  app.use(createHealthRouter(health));
  return app;
}

/** The whole API. It holds no state: any replica serves any request (R16). */
export function createApp({ api, health }: { api: ApiDeps; health: HealthDeps }): RequestListener {
  const { ctx, settings } = api;
  const { stopping } = health.readiness;
  const app = express().disable('x-powered-by').disable('etag').set('trust proxy', settings.trustProxy).set('query parser', 'simple');
  const router = Router();
  const registry = createRegistry();
  const { rentGroupMax } = ctx.settings;
  const auth = createAuthenticator(ctx.db, { tokens: ctx.tokens, groupMax: rentGroupMax });
  const rent = createRent(api);
  const routes = createRouteMaker({ router, registry, auth });
  addAccountRoutes(routes, api);
  addLeaseRoutes(routes, { ...api, rent });
  addNodeRoutes(routes, api, stopping);
  const { heartbeatIntervalSeconds: intervalSeconds, heartbeatIdleSeconds: idleSeconds, heartbeatsPerSecond } = settings;
  const rhythm = createHeartbeatRhythm(ctx, { intervalSeconds, idleSeconds, heartbeatsPerSecond });
  addWorkerRoutes(routes, { ...api, rhythm }, auth);

  app.use(sayGoodbye(stopping));
  app.use(createHealthRouter(health));
  app.use(observe({ logger: ctx.logger, metrics: ctx.metrics, clock: ctx.clock }));
  app.use(helmet());
  app.use(express.json({ limit: BODY_LIMIT_BYTES, strict: true, verify: requireUtf8 }));
  app.use(router);
  app.use(createInstallRouter(settings.publicUrl));
  app.use(createDocsRouter(generateOpenApi(registry)));
  app.use(notFound);
  app.use(createErrorHandler(ctx.logger));
  const doors = [
    ...(settings.heartbeatBatchMs > 0 ? [createHeartbeatDoor({ ...ctx, rhythm }, settings)] : []),
    ...(rentGroupMax > 1 ? [createRentDoor({ auth, rent, logger: ctx.logger })] : []),
  ];
  return createDoors({ ...ctx, stopping, app }, doors);
}
