import { Router } from 'express';
import type { Knex } from 'knex';
import { withDeadline } from '../../lib/clock';
import { selectFirst } from '../../db/sql';
import type { Readiness } from '../../lib/readiness';
import type { Logger } from '../../lib/logger';
import { countLeases, findQueueLag } from '../../modules/leases';
import { countNodes, findBrake } from '../../modules/nodes';
import type { Metrics } from '../../modules/telemetry';

export interface HealthDeps {
  db: Knex;
  readiness: Readiness;
  metrics: Metrics;
  logger: Logger;
}

const DATABASE_DEADLINE_MS = 2_000;

/** `/livez`: the process runs. `/readyz`: it may be sent work (off first when stopping, off while the database is away). `/metrics`: Prometheus. */
export function createHealthRouter(deps: HealthDeps): Router {
  const router = Router();
  router.get('/livez', (_req, res) => void res.json({ status: 'ok' }));
  router.get('/readyz', async (_req, res) => {
    const reason = deps.readiness.reason() ?? (await databaseTrouble(deps.db));
    res.status(reason === null ? 200 : 503).json(reason === null ? { status: 'ready' } : { status: 'not ready', reason });
  });
  router.get('/metrics', async (_req, res) => {
    await fillGauges(deps).catch((error: unknown) => deps.logger.warn('gauges could not be read', { error }));
    res.type(deps.metrics.registry.contentType).send(await deps.metrics.registry.metrics());
  });
  return router;
}

async function databaseTrouble(db: Knex): Promise<string | null> {
  try {
    await withDeadline(DATABASE_DEADLINE_MS, () => selectFirst(db, 'SELECT 1 AS one'));
    return null;
  } catch {
    return 'the database does not answer';
  }
}

async function fillGauges({ db, metrics }: HealthDeps): Promise<void> {
  const [nodes, leases, lag, brake] = await Promise.all([countNodes(db), countLeases(db), findQueueLag(db), findBrake(db)]);
  const sum = (rows: typeof nodes): number => rows.reduce((total, { count }) => total + count, 0);
  metrics.nodes.reset();
  for (const { status, count } of nodes) {
    metrics.nodes.inc({ status }, count);
  }
  metrics.nodesLeasable.set(sum(nodes.filter((n) => n.status === 'alive' && !n.drained && !n.dirty && !n.occupied)));
  metrics.nodesDirty.set(sum(nodes.filter((n) => n.dirty && n.status !== 'retired')));
  metrics.leases.reset();
  for (const { state, count } of leases) {
    metrics.leases.set({ state }, count);
  }
  for (const [queue, seconds] of Object.entries(lag)) {
    metrics.queueLagSeconds.set({ queue }, seconds);
  }
  metrics.migrationBrake.set(brake === null ? 0 : 1);
}
