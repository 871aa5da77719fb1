import { describe, expect, it } from '@jest/globals';
import type { Job } from '../../../src/contract';
import { createReportWriter } from '../../../src/modules/jobs';
import { aNode, aUser } from '../../support/builders';
import { age } from '../../support/database';
import { useTestApi, useTestDatabase } from '../../support/hooks';

const database = useTestDatabase();
const api = useTestApi(database);

const jobs = async (): Promise<Job[]> => {
  const admin = await aUser(database.db, { role: 'admin' });
  return (await api.call<{ items: Job[] }>('get', '/api/jobs', { as: admin })).body.items;
};

describe('GET /api/jobs', () => {
  it('R40: is empty before any replica has reported, and so are the metrics', async () => {
    expect(await jobs()).toEqual([]);
    expect((await api.ops('/metrics')).text).not.toMatch(/^orion_job_(info|replicas|due_rows)\{/m);
  });

  it('R40: shows what each job last did and what waits for it, and the metrics show the same', async () => {
    const none = { runSecondsAgo: null, errorSecondsAgo: null, durationMs: null, error: null };
    const aJob = { description: 'wipes', periodSeconds: 1, concurrency: 8 };
    await createReportWriter(
      database.db,
      'scheduler',
    )([
      { job: { ...aJob, name: 'wipe' }, passSecondsAgo: 1, runSecondsAgo: 60, errorSecondsAgo: 120, durationMs: 1500, error: 'disk full' },
      { ...none, job: { ...aJob, name: 'watch', periodSeconds: 2 }, passSecondsAgo: 300 },
    ]);
    const { id } = await aNode(database.db, { dirty: true });
    await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3) - INTERVAL 30 SECOND WHERE id = ?', [id]);

    const [watch, wipe] = await jobs();
    const nothing = { last_run_at: null, last_duration_ms: null, last_error: null, backlog: null };
    expect(watch).toMatchObject({ name: 'watch', state: 'not_running', replicas: 0, ...nothing });
    expect(wipe).toMatchObject({
      name: 'wipe',
      description: 'wipes',
      role: 'scheduler',
      state: 'running',
      replicas: 1,
      period_seconds: 1,
      concurrency: 8,
      last_duration_ms: 1500,
      last_error: 'disk full',
      backlog: { due: 1, overdue_seconds: expect.any(Number) },
    });
    expect(Math.round(wipe?.backlog?.overdue_seconds ?? 0)).toBeGreaterThanOrEqual(30);

    const { text } = await api.ops('/metrics');
    const lastRun = Date.parse(wipe?.last_run_at ?? '') / 1000;
    for (const series of [
      'orion_job_info{loop="wipe",role="scheduler",description="wipes"} 1',
      'orion_job_replicas{loop="wipe"} 1',
      'orion_job_replicas{loop="watch"} 0',
      'orion_job_period_seconds{loop="watch"} 2',
      `orion_job_last_run_timestamp_seconds{loop="wipe"} ${lastRun}`,
      `orion_job_last_error_timestamp_seconds{loop="wipe"} ${Date.parse(wipe?.last_error_at ?? '') / 1000}`,
      'orion_job_last_run_duration_seconds{loop="wipe"} 1.5',
      'orion_job_due_rows{loop="wipe"} 1',
    ]) {
      expect(text).toContain(`\n${series}\n`);
    }
    expect(text).toMatch(/^orion_job_overdue_seconds\{loop="wipe"\} 3\d/m);
    expect(text).not.toMatch(/^orion_job_(due_rows|last_run_timestamp_seconds|last_error_timestamp_seconds)\{loop="watch"\}/m);
    expect(text).not.toContain('disk full');
  });
});
