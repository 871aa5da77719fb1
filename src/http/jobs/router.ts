import type * as contract from '../../contract';
import * as calls from '../../contract/jobs';
import { type JobView, viewJobs } from '../../flows/jobs/view-jobs';
import type { ApiDeps } from '../deps';
import type { RouteMaker } from '../route';

/** Adds the route with which admins read what the background jobs of the control plane do. */
export function addJobRoutes(routes: RouteMaker, { reads }: Pick<ApiDeps, 'reads'>): void {
  routes.on(calls.listJobs).answer(async () => ({ status: 200, body: { items: (await viewJobs(reads)).map(presentJob) } }));
}

const iso = (at: Date | null): string | null => at?.toISOString() ?? null;

export const presentJob = ({ backlog, ...job }: JobView): contract.Job => ({
  name: job.name,
  description: job.description,
  role: job.role,
  state: job.replicas > 0 ? 'running' : 'not_running',
  replicas: job.replicas,
  period_seconds: job.periodSeconds,
  concurrency: job.concurrency,
  last_pass_at: iso(job.lastPassAt),
  last_run_at: iso(job.lastRunAt),
  last_duration_ms: job.lastDurationMs,
  last_error: job.lastError,
  last_error_at: iso(job.lastErrorAt),
  backlog: backlog && { due: backlog.due, overdue_seconds: backlog.overdueSeconds },
});
