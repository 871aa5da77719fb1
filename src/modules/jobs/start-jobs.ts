import { type Clock, withDeadline } from '../../lib/clock';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { createLoop, type Loop, type PassResult } from '../../lib/loop';
import { inTrace, SpanKind } from '../../lib/trace';
import { createWorkPool, type WorkPool } from '../../lib/work-pool';
import { countPasses, countRuns, type Metrics } from '../telemetry';
import { createJobJournal, type JobJournal, type WriteReports } from './journal';
import type { BoundJob, Claimed, Work } from './types';

export interface JobDeps {
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  /** Writes a report of the jobs of this process. A failed write is logged and tried again; the jobs continue. */
  write: WriteReports;
}

/** The jobs of one process. */
export interface RunningJobs {
  /** Starts a pass of this job now, or right after the pass that runs. Does nothing if this process does not run the job. */
  wake(name: string): void;
  /** Stops one job, or all of them, and waits for the work that is under way. */
  stop(name?: string): Promise<void>;
}

/** Seconds between two reports. The reports of a healthy replica are at most this old. */
const REPORT_SECONDS = 5;
/** Timeout of the last report, which must not keep a process from stopping. */
const LAST_REPORT_MS = 2_000;

interface Runner {
  loop: Loop;
  pool: WorkPool;
}

/** Starts a loop for each job, and a loop that reports what the jobs did. */
export function startJobs(deps: JobDeps, jobs: readonly BoundJob[]): RunningJobs {
  const { clock, logger } = deps;
  const journal = createJobJournal(deps, jobs);
  const runners = new Map(jobs.map((job) => [job.name, createRunner(deps, job, journal)]));
  const report = (): Promise<PassResult> => journal.report().then(() => 'done' as const);
  const reports = createLoop({ name: 'job-reports', intervalMs: REPORT_SECONDS * 1000, clock, logger, pass: report });
  runners.forEach(({ loop }) => loop.start());
  reports.start();
  return {
    wake: (name) => runners.get(name)?.loop.nudge(),
    stop: async (name) => {
      const stopping = [...runners].filter(([each]) => name === undefined || each === name).map(([, runner]) => runner);
      const ownLoop = name === undefined ? [reports] : [];
      await Promise.all([...stopping.map(({ loop }) => loop), ...ownLoop].map((loop) => loop.stop()));
      await Promise.all(stopping.map(({ pool }) => pool.idle()));
      if (name === undefined) {
        const note = (error: unknown): void => logger.warn('last job report not written', { reason: messageOf(error) });
        await withDeadline(LAST_REPORT_MS, report).catch(note);
      }
    },
  };
}

function createRunner({ clock, logger, metrics }: JobDeps, job: BoundJob, journal: JobJournal): Runner {
  const { name, concurrency, periodSeconds } = job;
  const count = countRuns(metrics, name);
  const noteError = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      journal.failed(name, error);
      throw error;
    }
  };
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    const startedAtMs = clock.monotonicMs();
    let outcome: 'ok' | 'error' = 'error';
    try {
      const result = await noteError(work());
      outcome = 'ok';
      return result;
    } finally {
      journal.ran(name, clock.monotonicMs() - startedAtMs);
      count(outcome);
    }
  };
  const pool = createWorkPool(concurrency, logger.child({ loop: name }), () => loop.nudge());
  const fill = async (claim: (room: number) => Promise<Claimed<Work>>): Promise<PassResult> => {
    const room = pool.room();
    if (room === 0) {
      return 'done';
    }
    const { claims, next } = await claim(room);
    claims.forEach((work) => void inTrace(name, { kind: SpanKind.CONSUMER, causes: work.causes }, () => pool.start(() => run(work.run))));
    return next;
  };
  const pass = (): Promise<PassResult> => {
    journal.began(name);
    return 'sweep' in job ? run(job.sweep) : noteError(fill(job.claim));
  };
  const loop = createLoop({ name, intervalMs: periodSeconds * 1000, clock, logger, pass, onPass: countPasses(metrics, name) });
  return { loop, pool };
}
