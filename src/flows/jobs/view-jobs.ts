import type { Db } from '../../db/transaction';
import { type Backlog, type DueRows, measureBacklogs } from '../../db/work-queue';
import { type JobState, listJobReports, summariseJobs } from '../../modules/jobs';
import { checkpointJob } from '../placements/checkpoint-home';
import { expireJob } from '../leases/expire-leases';
import { migrateJob } from '../migration/migrate-leases';
import { probeJob } from '../health/probe-node';
import { placementJob } from '../placements/run-placement';
import { wipeJob } from '../placements/wipe-node';

/** The jobs that may have a queue. */
const QUEUES: readonly { name: string; queue?: DueRows }[] = [checkpointJob, expireJob, migrateJob, placementJob, probeJob, wipeJob];

export interface JobView extends JobState {
  /** Null: the job has no queue. */
  backlog: Backlog | null;
}

/** Lists every job that a replica has reported, by name, with its backlog. */
export async function viewJobs(db: Db): Promise<JobView[]> {
  const jobs = summariseJobs(await listJobReports(db));
  const known = new Set(jobs.map(({ name }) => name));
  const queues = QUEUES.flatMap(({ name, queue }) => (queue && known.has(name) ? [[name, queue] as const] : []));
  const backlogs = await measureBacklogs(db, Object.fromEntries(queues));
  return jobs.map((job) => ({ ...job, backlog: backlogs[job.name] ?? null }));
}
