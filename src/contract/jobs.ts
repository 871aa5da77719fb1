import { z } from 'zod';
import { endpoint } from './endpoint';

const time = z.iso.datetime().nullable();

const backlog = z.object({
  due: z.int().meta({ description: 'Rows that are due now, counted up to 1000' }),
  overdue_seconds: z.number().nullable().meta({ description: 'How long the longest due row has been waiting; null: no row is due' }),
});

export const jobAnswer = z
  .object({
    name: z.string().meta({ example: 'wipe' }),
    description: z.string(),
    role: z.string().meta({ description: 'The role whose replicas run it' }),
    state: z.enum(['running', 'not_running']).meta({ description: 'not_running: no replica has begun a pass for three periods and 30 s' }),
    replicas: z.int().meta({ description: 'Replicas that run it now' }),
    period_seconds: z.number().meta({ description: 'Between two passes. Work that comes up may begin one at once' }),
    concurrency: z.int().meta({ description: 'Runs that one replica has under way at once' }),
    last_pass_at: time.meta({ description: 'When a replica last looked for work' }),
    last_run_at: time.meta({ description: 'When the last run ended: work on a claim, or the pass of a job without claims' }),
    last_duration_ms: z.int().nullable().meta({ description: 'Of that run' }),
    last_error: z.string().nullable().meta({ description: 'Of a pass or a run, without secrets. It stays until another one comes' }),
    last_error_at: time,
    backlog: backlog.nullable().meta({ description: 'null: it has no queue' }),
  })
  .meta({ id: 'Job' });

export type Job = z.output<typeof jobAnswer>;

export const listJobs = endpoint({
  method: 'get',
  path: '/api/jobs',
  summary: 'Background jobs: what each last did, and what waits for it',
  access: 'admin',
  audit: 'reads',
  answers: { 200: { description: 'By name. Replicas report every 5 s', schema: z.object({ items: z.array(jobAnswer) }) } },
});
