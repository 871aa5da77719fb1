import type { RequestListener } from 'node:http';
import express, { type Express, type RequestHandler, type Router } from 'express';
import helmet from 'helmet';
import { createHeartbeatLog } from '../flows/heartbeats/record-heartbeat';
import { createHeartbeatSchedule } from '../flows/heartbeats/heartbeat-schedule';
import { createUseJudge } from '../flows/heartbeats/judge-use';
import type { Readiness } from '../lib/readiness';
import { addAccountRoutes } from './accounts/router';
import { addAuditRoutes } from './audit/router';
import { createAuthenticator } from './auth';
import { BODY_LIMIT_BYTES, requireUtf8 } from './body';
import type { CallLocals } from './call';
import type { ApiDeps } from './deps';
import { createRegistry, generateOpenApi } from './docs/openapi';
import { createDocsRouter } from './docs/router';
import { createFastPath, endAfterThis } from './fast-path';
import { createOpsRouter, createReadyRouter, type HealthDeps, type ReadinessDeps } from './health/router';
import { createInstallRouter } from './install/router';
import { addJobRoutes } from './jobs/router';
import { createRent } from './leases/rent';
import { addLeaseRoutes } from './leases/router';
import { addNodeRoutes } from './nodes/router';
import { newRequestId, noteAnswer, type Observing } from './observe';
import { createErrorHandler, notFound } from './problem';
import { createRouteMaker, type Route } from './route';
import { createStrictRouter } from './strict-router';
import { addSupportRoutes } from './support/router';
import { addWorkerRoutes } from './workers/router';

/** Gives each request an id, logs its end, and measures its duration. */
function observe(observing: Observing): RequestHandler {
  return (req, res, next) => {
    const requestId = newRequestId();
    const startedAt = observing.clock.monotonicMs();
    res.locals.requestId = requestId;
    res.setHeader('X-Request-Id', requestId);
    res.on('close', () => {
      const route = (req.route as { path?: string } | undefined)?.path ?? 'none';
      noteAnswer(observing, { req, res, locals: res.locals as CallLocals, startedAt, route });
    });
    next();
  };
}

/** Creates the app of a role's operations port. */
export function createOpsApp(health: HealthDeps): Express {
  const app = express().disable('x-powered-by');
  app.use(createOpsRouter(health));
  return app;
}

/**
 * The two listeners of an API process. The API and the calls of agents have separate ports, so that load which blocks the API port does not
 * block agents.
 */
export interface Apps {
  api: RequestListener;
  agents: RequestListener;
}

/**
 * Creates the whole API. It holds no state, so any replica serves any request (R16). Both apps have the routes of agents, because some
 * agents call the API's own port.
 */
export function createApps({ api, readiness }: { api: ApiDeps; readiness: Readiness }): Apps {
  const { ctx, settings, refusals } = api;
  const { stopping } = readiness;
  const agentCtx = { ...ctx, db: api.agentsDb };
  const routers = { own: createStrictRouter(), workers: createStrictRouter() };
  const registry = createRegistry();
  const fast: { own: Route[]; workers: Route[] } = { own: [], workers: [] };
  const routes = createRouteMaker({ router: routers.own, registry, auth: createAuthenticator(api, ctx.tokens), fast: fast.own, refusals });
  addAccountRoutes(routes, api);
  addLeaseRoutes(routes, { ...api, rent: createRent(api) });
  addNodeRoutes(routes, api, stopping);
  addJobRoutes(routes, api);
  addAuditRoutes(routes, api);
  addSupportRoutes(routes, api);
  const { heartbeatIntervalSeconds: intervalSeconds, heartbeatIdleSeconds: idleSeconds, heartbeatsPerSecond } = settings;
  const schedule = createHeartbeatSchedule(agentCtx, { intervalSeconds, idleSeconds, heartbeatsPerSecond });
  const heartbeats = createHeartbeatLog({ ...agentCtx, uses: createUseJudge(agentCtx) });
  const workerAuth = createAuthenticator({ ctx: agentCtx, reads: agentCtx.db, sessions: api.sessions }, ctx.tokens);
  addWorkerRoutes(createRouteMaker({ router: routers.workers, registry, auth: workerAuth, fast: fast.workers, refusals }), {
    ...api,
    ctx: agentCtx,
    schedule,
    heartbeats,
  });

  const pages = [createInstallRouter(settings.publicUrl, settings.management.controlKey), createDocsRouter(generateOpenApi(registry))];
  const full = createListener(api, { db: api.reads, readiness }, [routers.own, routers.workers, ...pages]);
  const agents = createListener(api, { db: agentCtx.db, readiness }, [routers.workers]);
  return {
    api: createFastPath({ ...ctx, stopping, app: full, routes: [...fast.own, ...fast.workers] }),
    agents: createFastPath({ ...ctx, stopping, app: agents, routes: fast.workers }),
  };
}

/** Creates an Express app: the middleware that every request passes, and `routers`. */
function createListener({ ctx, settings }: ApiDeps, ready: ReadinessDeps, routers: Router[]): Express {
  const app = express().disable('x-powered-by').disable('etag').set('trust proxy', settings.trustProxy).set('query parser', 'simple');
  app.use((_req, res, next) => {
    endAfterThis(res, ready.readiness.stopping);
    next();
  });
  app.use(createReadyRouter(ready));
  app.use(observe({ logger: ctx.logger, metrics: ctx.metrics, clock: ctx.clock }));
  app.use(helmet());
  app.use(express.json({ limit: BODY_LIMIT_BYTES, strict: true, verify: requireUtf8 }));
  routers.forEach((router) => app.use(router));
  app.use(notFound);
  app.use(createErrorHandler(ctx.logger));
  return app;
}
