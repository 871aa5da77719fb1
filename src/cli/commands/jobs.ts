import type { Job } from '../../contract';
import { type CommandContext, withSession } from '../session';
import { formatSeconds, formatTime, printable } from '../text';

const HEAD = ['JOB', 'STATE', 'EVERY', 'LAST RUN', 'TOOK', 'DUE', 'OVERDUE', 'DESCRIPTION'];

/** The server counts no further than this. */
const MAX_DUE = 1_000;

/** Prints each background job: what it does, its last run and its backlog. */
export async function jobs(context: CommandContext): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const { data, text } = await api.call((orion) => orion['/api/jobs'].GET());
    if (out.json) {
      out.document(text);
      return;
    }
    await out.table(HEAD, data.items.map(rowOf), 'No replica has reported a job yet: start a scheduler.');
    data.items.flatMap(errorOf).forEach((line) => out.line(line));
  });
}

const rowOf = (job: Job): string[] => [
  printable(job.name),
  job.state === 'running' ? `on ${job.replicas} ${job.replicas === 1 ? 'replica' : 'replicas'}` : 'NOT RUNNING',
  formatShort(job.period_seconds * 1000),
  formatTime(job.last_run_at),
  job.last_duration_ms === null ? '-' : formatShort(job.last_duration_ms),
  job.backlog === null ? '-' : `${job.backlog.due}${job.backlog.due >= MAX_DUE ? '+' : ''}`,
  formatOverdue(job.backlog),
  printable(job.description),
];

const formatOverdue = (backlog: Job['backlog']): string =>
  typeof backlog?.overdue_seconds === 'number' ? formatSeconds(backlog.overdue_seconds) : '-';

/** Formats `250 ms`, or `2 min 5 s` from one second on. */
const formatShort = (ms: number): string => (ms < 1_000 ? `${ms} ms` : formatSeconds(ms / 1_000));

const errorOf = ({ name, last_error: error, last_error_at: at }: Job): string[] =>
  error === null ? [] : [`last error of ${printable(name)}, at ${formatTime(at)}: ${printable(error)}`];
