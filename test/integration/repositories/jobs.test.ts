import { describe, expect, it } from '@jest/globals';
import { viewJobs } from '../../../src/flows/jobs/view-jobs';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger } from '../../../src/lib/logger';
import { bind, createReportWriter, type RunningJobs, startJobs, type SweepJob } from '../../../src/modules/jobs';
import { createMetrics } from '../../../src/modules/telemetry';
import { eventually } from '../../lab';
import { aLease, aNode, aUser } from '../../support/builders';
import { age, count, rows } from '../../support/database';
import { useTestDatabase } from '../../support/hooks';
import { openRowCounter } from '../../support/rows-read';

const database = useTestDatabase({ resetEach: true });
const running: RunningJobs[] = [];

const jobOf = (name: string, sweep: () => Promise<'done'> = () => Promise.resolve('done')): SweepJob<null> => ({
  name,
  description: `does ${name}`,
  period: () => 0.1,
  sweep,
});

/** A replica with a pool of its own; `stop` ends it and writes its last report. */
function aReplica(...jobs: SweepJob<null>[]): RunningJobs {
  const write = createReportWriter(database.secondPool(), 'scheduler');
  const deps = { clock: systemClock, logger: silentLogger, metrics: createMetrics(), write };
  const replica = startJobs(
    deps,
    jobs.map((job) => bind(job, null)),
  );
  running.push(replica);
  return replica;
}

type News = Parameters<ReturnType<typeof createReportWriter>>[0][number];

const newsOf = (name: string, changes: Partial<News> = {}): News => ({
  job: { name, description: `does ${name}`, periodSeconds: 1, concurrency: 1 },
  passSecondsAgo: 0,
  runSecondsAgo: null,
  errorSecondsAgo: null,
  durationMs: null,
  error: null,
  ...changes,
});

const view = async (wanted: string): Promise<Awaited<ReturnType<typeof viewJobs>>[number] | undefined> =>
  (await viewJobs(database.db)).find(({ name }) => name === wanted);
const untilReplicas = (name: string, replicas: number): Promise<unknown> =>
  eventually(async () => (await view(name))?.replicas === replicas, { what: `${replicas} replicas run ${name}` });

describe('reports of two replicas', () => {
  it('R40: are one job, with the last error of either and the time of it', async () => {
    const [one, two] = [aReplica(jobOf('tidy', () => Promise.reject(new Error('the disk is full')))), aReplica(jobOf('tidy'))];
    await untilReplicas('tidy', 2);
    await Promise.all([one.stop(), two.stop()]);
    const job = await view('tidy');
    expect(job).toMatchObject({ description: 'does tidy', role: 'scheduler', periodSeconds: 0.1, backlog: null });
    expect(job?.lastError).toBe('the disk is full');
    expect(await count(database.db, 'SELECT ABS(TIMESTAMPDIFF(SECOND, ?, UTC_TIMESTAMP(3)))', [job?.lastErrorAt ?? null])).toBeLessThan(20);
    expect(await count(database.db, 'SELECT COUNT(*) FROM job_reports')).toBe(2);
  });

  it('R40: keep an error and its time until another one comes', async () => {
    const write = createReportWriter(database.db, 'scheduler');
    await write([newsOf('tidy', { passSecondsAgo: 2, runSecondsAgo: 1.5, errorSecondsAgo: 1, durationMs: 499.6, error: 'no' })]);
    const before = await view('tidy');
    await write([newsOf('tidy')]);
    const after = await view('tidy');
    expect(after).toEqual({ ...before, lastPassAt: expect.any(Date), lastError: 'no', lastDurationMs: 500 });
    expect(after?.lastPassAt?.getTime()).toBeGreaterThan(before?.lastPassAt?.getTime() ?? Infinity);
  });

  it('R40: of replicas that are all gone stay, as those of jobs that do not run; the next replica removes them after an hour', async () => {
    await aReplica(jobOf('tidy', () => Promise.reject(new Error('the last word')))).stop();
    await age(
      database.db,
      'UPDATE job_reports SET last_pass_at = last_pass_at - INTERVAL 2 DAY, reported_at = reported_at - INTERVAL 2 DAY',
    );
    await createReportWriter(database.db, 'autoscaler')([newsOf('lead')]);
    expect(await view('tidy')).toMatchObject({ replicas: 0, lastError: 'the last word' });
    const next = aReplica(jobOf('tidy'));
    await untilReplicas('tidy', 1);
    expect(await view('tidy')).toMatchObject({ lastError: null });
    await next.stop();
    expect(await count(database.db, "SELECT COUNT(*) FROM job_reports WHERE role = 'scheduler'")).toBe(1);
  });

  it('R40: of a role that is gone for good are removed after a week, whatever the role of who reports', async () => {
    await createReportWriter(database.db, 'autoscaler')([newsOf('lead')]);
    await age(database.db, 'UPDATE job_reports SET reported_at = reported_at - INTERVAL 8 DAY');
    await createReportWriter(database.db, 'scheduler')([newsOf('tidy')]);
    expect((await viewJobs(database.db)).map(({ name }) => name)).toEqual(['tidy']);
  });

  it('R40: of many replicas are written at once, and none is lost', async () => {
    const writers = Array.from({ length: 8 }, () => createReportWriter(database.db, 'scheduler'));
    const news = ['a', 'b', 'c', 'd'].map((name) => newsOf(name));
    await Promise.all(writers.flatMap((write) => [write(news), write(news), write(news)]));
    expect((await viewJobs(database.db)).map(({ name, replicas }) => [name, replicas])).toEqual([
      ['a', 8],
      ['b', 8],
      ['c', 8],
      ['d', 8],
    ]);
  });
});

describe('a backlog', () => {
  const report = (...names: string[]): Promise<void> => createReportWriter(database.db, 'scheduler')(names.map((name) => newsOf(name)));

  it('R40: is how many rows are due and how long the oldest has been; without any, no age', async () => {
    await report('wipe', 'probe', 'expire', 'migrate', 'placement', 'checkpoint', 'watch');
    const user = await aUser(database.db);
    const [busy, free] = [await aNode(database.db), await aNode(database.db)];
    await aLease(database.db, { userId: user.id, nodeId: busy.id });
    await age(
      database.db,
      `UPDATE leases SET created_at = created_at - INTERVAL 1 DAY, state = 'migrating',
         ends_at = UTC_TIMESTAMP(3) - INTERVAL 90 SECOND, due_at = UTC_TIMESTAMP(3) - INTERVAL 5 SECOND`,
    );
    await age(database.db, 'UPDATE placements SET due_at = NULL');
    await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3) - INTERVAL IF(id = ?, 20, 40) SECOND', [free.id]);
    const rounded = (seconds: number | null): number | null => seconds && Math.round(seconds / 5) * 5;
    const jobs = await viewJobs(database.db);
    const all = jobs.map(({ name, backlog }) => [name, backlog && { due: backlog.due, overdueSeconds: rounded(backlog.overdueSeconds) }]);
    const none = { due: 0, overdueSeconds: null };
    expect(Object.fromEntries(all)).toEqual({
      wipe: { due: 2, overdueSeconds: 40 },
      expire: { due: 1, overdueSeconds: 90 },
      migrate: { due: 1, overdueSeconds: 5 },
      probe: none,
      placement: none,
      checkpoint: none,
      watch: null,
    });
  });

  it('R40: of a large fleet is counted up to 1000, from an index alone', async () => {
    await report('wipe', 'probe', 'expire', 'migrate', 'placement', 'checkpoint');
    await database.db.raw(
      `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, labels, facts, next_uid, probe_due_at)
       SELECT CONCAT('n', seq), '127.0.0.1', 22, 'k', CONCAT('f', seq), 'alive', '{}', '{}', 70000,
              UTC_TIMESTAMP(3) - INTERVAL seq SECOND FROM seq_1_to_8000`,
    );
    await rows(database.db, 'ANALYZE TABLE nodes');
    const counter = openRowCounter(database.access);
    expect(await counter.rowsRead(() => Promise.resolve())).toBe(0);
    expect(await counter.rowsRead((db) => viewJobs(db))).toBeLessThan(4_000);
    await counter.close();
    const { due, overdueSeconds } = (await view('probe'))?.backlog ?? {};
    expect(due).toBe(1000);
    expect(overdueSeconds).toBeGreaterThan(7_999);
  });
});
