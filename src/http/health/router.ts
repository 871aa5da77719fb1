import type { Router } from 'express';
import type { Knex } from 'knex';
import { withDeadline } from '../../lib/clock';
import { readOneRow } from '../../db/migrations/record';
import type { Readiness } from '../../lib/readiness';
import { createStrictRouter } from '../strict-router';
import { createScrape, type ScrapeDeps } from './scrape';

export interface ReadinessDeps {
  db: Knex;
  readiness: Readiness;
}

export type HealthDeps = ReadinessDeps & ScrapeDeps;

const DATABASE_DEADLINE_MS = 2_000;

/**
 * Creates `/readyz`: 200 while the process accepts requests. It returns 503 as soon as the process begins to stop, and while the database
 * does not answer.
 */
export function createReadyRouter({ db, readiness }: ReadinessDeps): Router {
  return createStrictRouter().get('/readyz', async (_req, res) => {
    const reason = readiness.reason() ?? (await databaseTrouble(db));
    res.status(reason === null ? 200 : 503).json(reason === null ? { status: 'ready' } : { status: 'not ready', reason });
  });
}

/** Creates the router of the operations port: `/livez` (the process runs), `/readyz`, and `/metrics` for Prometheus. */
export function createOpsRouter(deps: HealthDeps): Router {
  const scrape = createScrape(deps);
  const router = createStrictRouter();
  router.get('/livez', (_req, res) => void res.json({ status: 'ok' }));
  router.get('/metrics', async (_req, res) => {
    const text = await scrape();
    res.type(deps.metrics.registry.contentType).send(text);
  });
  return router.use(createReadyRouter(deps));
}

async function databaseTrouble(db: Knex): Promise<string | null> {
  try {
    await withDeadline(DATABASE_DEADLINE_MS, () => readOneRow(db));
    return null;
  } catch {
    return 'the database does not answer';
  }
}
