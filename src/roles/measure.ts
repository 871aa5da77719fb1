import type { Knex } from 'knex';
import { createDatabase, type DatabaseSettings, poolUse } from '../db/connection';
import type { Closer } from '../lib/closer';
import type { Readiness } from '../lib/readiness';
import { stderrLines } from '../lib/stderr-lines';
import { version } from '../lib/version';
import type { Metrics } from '../modules/telemetry';

/** Measures what every process has: its version, its readiness and its log. */
export function measureProcess({ metrics, readiness }: { metrics: Metrics; readiness: Readiness }): void {
  metrics.buildInfo.set({ version }, 1);
  metrics.beforeScrape.add(() => {
    metrics.ready.set(readiness.reason() === null ? 1 : 0);
    metrics.logLinesLost.reset();
    metrics.logLinesLost.inc(stderrLines().lost());
  });
}

export type PoolName = 'work' | 'reads' | 'agents' | 'scrape';

/** Opens a pool of connections that is measured under its name, and closed with the process. */
export function openPool({ closer, metrics }: { closer: Closer; metrics: Metrics }, pool: PoolName, settings: DatabaseSettings): Knex {
  const db = createDatabase(settings);
  closer.push(`database: ${pool}`, () => db.destroy());
  metrics.beforeScrape.add(() => {
    const { inUse, waiting } = poolUse(db);
    metrics.poolConnections.set({ pool }, inUse);
    metrics.poolWaiting.set({ pool }, waiting);
  });
  return db;
}
