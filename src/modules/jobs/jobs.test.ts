import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../test/lab/eventually';
import { systemClock } from '../../lib/clock';
import { randomSecret } from '../../lib/ids';
import { createLogger } from '../../lib/logger';
import { createMetrics, type Metrics } from '../telemetry';
import type { JobNews } from './journal';
import { bind, type BoundJob, claimed, type QueueJob, type RunningJobs, startJobs, type SweepJob } from './index';
import { type JobReport, summariseJobs } from './state';

const running: RunningJobs[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((jobs) => jobs.stop()));
});

interface Started {
  jobs: RunningJobs;
  metrics: Metrics;
  logged: string[];
  /** The news of one job from all reports so far. Later reports win. */
  newsOf: (name: string) => Partial<JobNews>;
}

function start(bound: BoundJob[], write: (n: number) => Promise<void> = () => Promise.resolve()): Started {
  const reports: JobNews[][] = [];
  const logged: string[] = [];
  const metrics = createMetrics();
  let writes = 0;
  const jobs = startJobs(
    {
      clock: { ...systemClock, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal) },
      logger: createLogger('warn', (_level, message, fields) => void logged.push(`${message} ${String(fields['loop'])}`)),
      metrics,
      write: async (news) => {
        await write((writes += 1));
        reports.push([...news]);
      },
    },
    bound,
  );
  running.push(jobs);
  const newsOf = (name: string): Partial<JobNews> => {
    const known = reports.flat().filter(({ job }) => job.name === name);
    const withoutNulls = (news: JobNews): object => Object.fromEntries(Object.entries(news).filter(([, value]) => value !== null));
    return Object.assign({}, ...known.map(withoutNulls)) as Partial<JobNews>;
  };
  return { jobs, metrics, logged, newsOf };
}

const sweepOf = (name: string, sweep: () => Promise<'done'>): SweepJob<null> => ({
  name,
  description: `does ${name}`,
  period: () => 0.01,
  sweep,
});
const queueOf = (claim: (room: number) => Promise<number[]>, run: (item: number) => Promise<void>): QueueJob<null, number> => ({
  name: 'queue',
  description: 'works on numbers',
  period: () => 0.01,
  concurrency: () => 2,
  queue: { table: 'none', dueAt: 'due_at' },
  claim: (_ctx, room) => claim(room).then(claimed),
  run: (_ctx, item) => run(item),
});

const SECRET = randomSecret('orion_join_');

describe('jobs', () => {
  it('R40: go on after a pass that fails, and report its error without secrets', async () => {
    let passes = 0;
    const failing = sweepOf('sweep', () => ((passes += 1) < 3 ? Promise.reject(new Error(`no ${SECRET} today`)) : Promise.resolve('done')));
    const { newsOf, logged } = start([bind(failing, null)]);
    await eventually(() => passes > 5 && newsOf('sweep').error !== undefined, { what: 'passes after the failure' });
    expect(newsOf('sweep')).toMatchObject({
      job: { name: 'sweep', description: 'does sweep', periodSeconds: 0.01, concurrency: 1 },
      error: 'no [redacted] today',
      durationMs: expect.any(Number),
    });
    expect(logged).toEqual(['loop pass failed sweep', 'loop pass failed sweep']);
  });

  it('R40: claim no more than fits, and go on after a run that fails, whose error is reported', async () => {
    let [next, now, most] = [0, 0, 0];
    const run = async (item: number): Promise<void> => {
      most = Math.max(most, (now += 1));
      await systemClock.sleep(5);
      now -= 1;
      if (item === 3) {
        throw new Error(`number ${item} is bad`);
      }
    };
    const claim = (room: number): Promise<number[]> => Promise.resolve(Array.from({ length: room }, () => (next += 1)));
    const { newsOf, logged, metrics, jobs } = start([bind(queueOf(claim, run), null)]);
    await eventually(() => next > 8 && newsOf('queue').error !== undefined, { what: 'runs after the one that fails' });
    await jobs.stop();
    expect([most, newsOf('queue').error, logged]).toEqual([2, 'number 3 is bad', ['background task failed queue']]);
    const counted = await metrics.registry.metrics();
    expect(counted).toContain('\norion_job_runs_total{loop="queue",outcome="error"} 1\n');
    expect(counted).toContain(`\norion_job_runs_total{loop="queue",outcome="ok"} ${next - 1}\n`);
  });

  it('R40: report a claim that fails as an error of the job, and as no run', async () => {
    const { newsOf, jobs } = start([
      bind(
        queueOf(
          () => Promise.reject(new Error('no database')),
          () => Promise.resolve(),
        ),
        null,
      ),
    ]);
    await eventually(() => newsOf('queue').error !== undefined, { what: 'the error is reported' });
    await jobs.stop();
    expect(newsOf('queue')).toMatchObject({ error: 'no database', passSecondsAgo: expect.any(Number) });
    expect(newsOf('queue').runSecondsAgo).toBeUndefined();
  });

  it('R40: go on while reports cannot be written, and report later what happened meanwhile', async () => {
    let passes = 0;
    const failing = sweepOf('sweep', () => ((passes += 1) === 1 ? Promise.reject(new Error('once')) : Promise.resolve('done')));
    const write = (n: number): Promise<void> => (n < 4 ? Promise.reject(new Error('the database is away')) : Promise.resolve());
    const { newsOf, logged } = start([bind(failing, null)], write);
    await eventually(() => newsOf('sweep').error !== undefined, { what: 'the report is written' });
    expect(newsOf('sweep').error).toBe('once');
    expect(passes).toBeGreaterThan(3);
    expect(logged.filter((line) => line === 'loop pass failed job-reports')).toHaveLength(3);
  });

  it('R36: stop with a last report, also when it cannot be written; one job can stop by itself', async () => {
    let [one, two] = [0, 0];
    const count = (add: () => void) => () => {
      add();
      return Promise.resolve('done' as const);
    };
    const both = [
      sweepOf(
        'one',
        count(() => (one += 1)),
      ),
      sweepOf(
        'two',
        count(() => (two += 1)),
      ),
    ];
    const { jobs, logged } = start(
      both.map((job) => bind(job, null)),
      () => Promise.reject(new Error('no')),
    );
    await eventually(() => one > 1 && two > 1, { what: 'both run' });
    await jobs.stop('one');
    const at = [one, two];
    await eventually(() => two > (at[1] ?? 0) + 2, { what: 'the other one goes on' });
    expect(one).toBe(at[0]);
    await jobs.stop();
    expect(logged).toContain('last job report not written undefined');
  });
});

describe('the state of a job', () => {
  const at = (seconds: number): Date => new Date(seconds * 1000);
  const report = (changes: Partial<JobReport>): JobReport => ({
    name: 'wipe',
    role: 'scheduler',
    description: 'wipes',
    periodSeconds: 1,
    concurrency: 4,
    lastPassAt: at(100),
    passAgeSeconds: 1,
    lastRunAt: null,
    lastDurationMs: null,
    lastError: null,
    lastErrorAt: null,
    ...changes,
  });

  it('R40: is what happened last on any replica, with the settings of the newest report', () => {
    const older = { concurrency: 2, lastPassAt: at(99), lastRunAt: at(50), lastDurationMs: 70, lastError: 'old', lastErrorAt: at(20) };
    const newer = { lastRunAt: at(40), lastDurationMs: 30, lastError: 'new', lastErrorAt: at(21) };
    expect(summariseJobs([report(newer), report({ name: 'expire', passAgeSeconds: null, lastPassAt: null }), report(older)])).toEqual([
      expect.objectContaining({ name: 'expire', replicas: 0, lastPassAt: null, lastRunAt: null, lastError: null }),
      {
        name: 'wipe',
        role: 'scheduler',
        description: 'wipes',
        periodSeconds: 1,
        concurrency: 4,
        replicas: 2,
        lastPassAt: at(100),
        lastRunAt: at(50),
        lastDurationMs: 70,
        lastError: 'new',
        lastErrorAt: at(21),
      },
    ]);
  });

  const CASES = [
    [1, 33, 1],
    [1, 34, 0],
    [600, 1830, 1],
    [600, 1831, 0],
  ] as const;
  it.each(CASES)('R40: with a period of %d s and a pass %d s ago is running on %d replicas', (periodSeconds, passAgeSeconds, replicas) => {
    expect(summariseJobs([report({ periodSeconds, passAgeSeconds })])).toMatchObject([{ replicas }]);
  });
});
