import { describe, expect, it } from '@jest/globals';
import type { Job } from '../../../src/contract';
import { eventually } from '../../lab';
import { expectStatus } from '../../support/api-client';
import { useSystem } from '../../support/hooks';

const system = useSystem({ apis: 1, schedulers: 2 });

const jobs = async (): Promise<Job[]> => expectStatus(await system.admin.get<{ items: Job[] }>('/api/jobs'), 200).items;
const allRunOn = (replicas: number): Promise<unknown> =>
  eventually(
    async () => {
      const all = await jobs();
      return all.length > 0 && all.every((job) => job.replicas === replicas);
    },
    { what: `all jobs run on ${replicas} replicas`, timeoutMs: 30_000 },
  );

/** Time passes for the reports alone. */
const later = (hours: number): Promise<unknown> =>
  system.sql('UPDATE job_reports SET reported_at = reported_at - INTERVAL ? HOUR, last_pass_at = last_pass_at - INTERVAL ? HOUR', [
    hours,
    hours,
  ]);

describe('the jobs of two schedulers', () => {
  it('R40: are listed with their descriptions and periods, and with the rows that wait for them', async () => {
    await allRunOn(2);
    const all = await jobs();
    const withQueue = ['expire', 'migrate', 'placement', 'probe', 'wipe'];
    const withoutQueue = ['kept-probe', 'outdated-accounts', 'pending', 'prune', 'seal', 'shards', 'watch'];
    expect(all.map(({ name }) => name)).toEqual([...withQueue, ...withoutQueue].toSorted());
    expect(all.filter(({ backlog }) => backlog !== null).map(({ name }) => name)).toEqual(withQueue);
    expect(all.filter(({ description, role, period_seconds: s }) => description === '' || role !== 'scheduler' || s <= 0)).toEqual([]);
    const hasRun = async (): Promise<Job | undefined> =>
      (await jobs()).find(({ name, last_run_at: at }) => name === 'expire' && at !== null);
    const expire = await eventually(hasRun, { what: 'a run is reported', timeoutMs: 20_000 });
    expect(expire).toMatchObject({ period_seconds: 0.5, concurrency: 1, last_duration_ms: expect.any(Number), last_error: null });
  }, 60_000);

  it('R40: stay visible as not running when every scheduler was killed; the next one runs them and forgets the others', async () => {
    await Promise.all(system.schedulers.map((scheduler) => scheduler.kill9()));
    await later(2);
    const gone = await jobs();
    expect(gone.filter(({ state, last_pass_at: at }) => state !== 'not_running' || at === null)).toEqual([]);
    expect(gone).toHaveLength(12);
    await system.startScheduler();
    await allRunOn(1);
    expect(await system.sql('SELECT COUNT(DISTINCT replica_id) AS replicas FROM job_reports')).toEqual([{ replicas: 1 }]);
  }, 60_000);
});
