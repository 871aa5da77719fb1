import express, { type Express } from 'express';
import { OrionError } from '../../lib/errors';
import { requireUtf8 } from '../body';
import { newRequestId } from '../observe';
import { createErrorHandler } from '../problem';
import { createScaleDriverRouter, type ScaleDriverDeps } from './router';

/** Enough for a step, which has two numbers. */
const BODY_LIMIT_BYTES = 1024;

/** Creates the app of the role scale-driver. It has no authentication, because only the autoscaler is in its network. */
export function createScaleDriverApp(deps: ScaleDriverDeps): Express {
  const app = express().disable('x-powered-by').disable('etag').set('query parser', 'simple');
  app.use((_req, res, next) => {
    const requestId = newRequestId();
    res.locals.requestId = requestId;
    res.setHeader('X-Request-Id', requestId);
    next();
  });
  app.use(express.json({ limit: BODY_LIMIT_BYTES, strict: true, verify: requireUtf8 }));
  app.use(createScaleDriverRouter(deps));
  app.use(() => {
    throw new OrionError('not_found', 'There is nothing at this path.');
  });
  app.use(createErrorHandler(deps.logger));
  return app;
}
