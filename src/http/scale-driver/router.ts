import type { Request, Router } from 'express';
import { withDeadline } from '../../lib/clock';
import { OrionError } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { Readiness } from '../../lib/readiness';
import {
  presentState,
  problemWithStep,
  type ScaleBounds,
  type ScaleDriver,
  SCALED_SERVICES,
  type ScaledService,
  stepWire,
} from '../../modules/scaling';
import { parse, requireJson } from '../route';
import { createStrictRouter } from '../strict-router';

export interface ScaleDriverDeps {
  /** Undefined until the project is known; `readiness` has the reason. */
  driver: () => ScaleDriver | undefined;
  /** Rejects when the engine does not answer. */
  ping: () => Promise<void>;
  /** Returns why a call of the engine failed, in a text that contains nothing of the engine's answer. */
  reasonOf: (error: unknown) => string;
  bounds: Record<ScaledService, ScaleBounds>;
  readiness: Readiness;
  logger: Logger;
}

const PING_MS = 2_000;

/**
 * Serves the operations on Docker that the autoscaler may request: inspect a service, change the number of its replicas within the bounds,
 * and remove drained replicas.
 */
export function createScaleDriverRouter(deps: ScaleDriverDeps): Router {
  const router = createStrictRouter();
  const changing = new Set<ScaledService>();

  router.get('/livez', (_req, res) => void res.json({ status: 'ok' }));
  router.get('/readyz', async (_req, res) => {
    const reason = deps.readiness.reason() ?? (await engineTrouble(deps));
    res.status(reason === null ? 200 : 503).json(reason === null ? { status: 'ready' } : { status: 'not ready', reason });
  });

  router.get('/services/:service', async (req, res) => {
    const service = serviceOf(req);
    res.json(presentState(await call(deps, (driver) => driver.inspect(service))));
  });

  router.post('/services/:service/scale', requireJson(true), async (req, res) => {
    const service = serviceOf(req);
    const step = parse(stepWire, req.body, 'body') as { from: number; to: number };
    const problem = problemWithStep(service, step, deps.bounds[service]);
    if (problem !== null) {
      throw new OrionError('step_refused', problem);
    }
    // Two concurrent steps would both start from the old number of replicas, and together could exceed the maximum.
    if (changing.has(service)) {
      throw new OrionError('state_conflict', `Another step of ${service} is under way. Look at the service again.`);
    }
    changing.add(service);
    try {
      await call(deps, (driver) => driver.scale(service, step));
    } finally {
      changing.delete(service);
    }
    deps.logger.info('service scaled', { service, ...step });
    res.status(204).end();
  });

  router.post('/services/:service/tidy', async (req, res) => {
    const service = serviceOf(req);
    const removed = await call(deps, (driver) => driver.tidy(service));
    if (removed.length > 0) {
      deps.logger.info('drained replicas removed', { service, removed });
    }
    res.json({ removed });
  });
  return router;
}

function serviceOf({ params }: Request): ScaledService {
  const service = SCALED_SERVICES.find((name) => name === params.service);
  if (service === undefined) {
    throw new OrionError('not_found', `There is no such service. The scale driver knows ${SCALED_SERVICES.join(' and ')}.`);
  }
  return service;
}

/** Runs `act` with the driver. The error of the engine itself goes to the log only. */
async function call<T>({ driver: find, readiness, reasonOf }: ScaleDriverDeps, act: (driver: ScaleDriver) => Promise<T>): Promise<T> {
  const driver = find();
  if (driver === undefined) {
    throw new OrionError('unavailable', `The scale driver is not ready: ${readiness.reason() ?? 'starting'}.`);
  }
  try {
    return await act(driver);
  } catch (error) {
    if (error instanceof OrionError) {
      throw error;
    }
    throw new OrionError('unavailable', `Docker did not do it: ${reasonOf(error)}.`, { cause: error });
  }
}

async function engineTrouble({ ping, reasonOf }: ScaleDriverDeps): Promise<string | null> {
  try {
    await withDeadline(PING_MS, ping);
    return null;
  } catch (error) {
    return `Docker does not answer: ${reasonOf(error)}`;
  }
}
