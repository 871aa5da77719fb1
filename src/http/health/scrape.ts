import type { Knex } from 'knex';
import { withDeadline } from '../../lib/clock';
import { type JobView, viewJobs } from '../../flows/jobs/view-jobs';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { countLeases } from '../../modules/leases';
import { countNodes, findBreaker } from '../../modules/nodes';
import { findLateBackupAge } from '../../modules/checkpoints';
import { findQueueLag, type JobGauges, type Metrics } from '../../modules/telemetry';

export interface ScrapeDeps {
  /** Scrapes alone use it. With a pool that others use, a scrape could not tell a full pool from a database that hangs. */
  scrapes: Knex;
  metrics: Metrics;
  logger: Logger;
}

interface Figures {
  nodes: Awaited<ReturnType<typeof countNodes>>;
  leases: Awaited<ReturnType<typeof countLeases>>;
  lag: Awaited<ReturnType<typeof findQueueLag>>;
  breaker: Awaited<ReturnType<typeof findBreaker>>;
  lateBackup: number;
  jobs: JobView[];
}

/**
 * Time that a scrape waits for the database. Prometheus ends a scrape after 10 s by default. A scrape that hangs also loses the metrics of
 * the process, when they are needed most.
 */
const DATABASE_DEADLINE_MS = 1_500;

/**
 * Creates a function that returns the text of one scrape. The text always contains the metrics of the process. Gauges from the database are
 * missing when it does not answer in time, because their last value would look like a healthy fleet. At most one query runs at a time,
 * however often Prometheus scrapes. So a database that hangs costs one connection.
 */
export function createScrape({ scrapes, metrics, logger }: ScrapeDeps): () => Promise<string> {
  let reading: Promise<Figures> | undefined;
  const read = (): Promise<Figures> => {
    reading ??= readFigures(scrapes, logger).finally(() => (reading = undefined));
    return reading;
  };
  return async () => {
    const figures = await withDeadline(DATABASE_DEADLINE_MS, read).catch((error: unknown) => {
      logger.warn('gauges not read from the database', { reason: messageOf(error) });
      return undefined;
    });
    metrics.beforeScrape.forEach((measure) => measure());
    show(metrics, figures);
    return metrics.registry.metrics();
  };
}

/** Reads the figures one after the other, over one connection. */
async function readFigures(db: Knex, logger: Logger): Promise<Figures> {
  const [nodes, leases, lag] = [await countNodes(db), await countLeases(db), await findQueueLag(db)];
  const [breaker, lateBackup] = [await findBreaker(db), await findLateBackupAge(db)];
  // Their table may lack its grants, before `orion migrate grant`. The fleet is shown all the same.
  const jobs = await viewJobs(db).catch((error: unknown) => {
    logger.warn('jobs not read from the database', { reason: messageOf(error) });
    return [];
  });
  return { nodes, leases, lag, breaker, lateBackup, jobs };
}

function show(metrics: Metrics, figures: Figures | undefined): void {
  metrics.databaseUp.set(figures ? 1 : 0);
  metrics.nodes.reset();
  metrics.leases.reset();
  metrics.queueLagSeconds.reset();
  (Object.values(metrics.jobs) as JobGauges['lastPass'][]).forEach((gauge) => gauge.reset());
  if (!figures) {
    // `reset` would set a gauge without labels to 0, which is a value.
    const { nodesLeasable, nodesDirty, migrationBreaker, lateBackupSeconds } = metrics;
    [nodesLeasable, nodesDirty, migrationBreaker, lateBackupSeconds].forEach((gauge) => gauge.remove());
    return;
  }
  const { nodes, leases, lag, breaker, lateBackup, jobs } = figures;
  const sum = (rows: typeof nodes): number => rows.reduce((total, { count }) => total + count, 0);
  nodes.forEach(({ status, count }) => metrics.nodes.inc({ status }, count));
  leases.forEach(({ state, count }) => metrics.leases.set({ state }, count));
  Object.entries(lag).forEach(([queue, seconds]) => metrics.queueLagSeconds.set({ queue }, seconds));
  metrics.nodesLeasable.set(sum(nodes.filter((n) => n.status === 'alive' && !n.drained && !n.dirty && !n.occupied && !n.short)));
  metrics.nodesDirty.set(sum(nodes.filter((n) => n.dirty && n.status !== 'retired')));
  metrics.migrationBreaker.set(breaker === null ? 0 : 1);
  metrics.lateBackupSeconds.set(lateBackup);
  jobs.forEach((job) => showJob(metrics.jobs, job));
}

/** Sets the gauges of one job. An unknown value gets no series. */
function showJob(gauges: JobGauges, { name: loop, role, description, backlog, ...job }: JobView): void {
  const show = (gauge: JobGauges['lastPass'], value: number | null | undefined): void => {
    if (typeof value === 'number') {
      gauge.set({ loop }, value);
    }
  };
  const secondsOf = (at: Date | null): number | null => at && at.getTime() / 1000;
  gauges.info.set({ loop, role, description }, 1);
  show(gauges.replicas, job.replicas);
  show(gauges.periodSeconds, job.periodSeconds);
  show(gauges.lastPass, secondsOf(job.lastPassAt));
  show(gauges.lastRun, secondsOf(job.lastRunAt));
  show(gauges.lastDurationSeconds, job.lastDurationMs && job.lastDurationMs / 1000);
  show(gauges.lastError, secondsOf(job.lastErrorAt));
  show(gauges.due, backlog?.due);
  show(gauges.overdueSeconds, backlog && (backlog.overdueSeconds ?? 0));
}
