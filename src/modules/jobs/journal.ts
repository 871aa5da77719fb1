import type { Clock } from '../../lib/clock';
import { messageOf } from '../../lib/errors';
import { redactText } from '../../lib/redact';
import type { BoundJob } from './types';

/** The last events of a job since its last report that was written. Absent: no such event. */
interface News {
  passAtMs?: number;
  runAtMs?: number;
  durationMs?: number;
  error?: string;
  errorAtMs?: number;
}

/** The news of one job, for the database. Times are seconds ago, because the database's clock computes the dates. Null: no news. */
export interface JobNews {
  job: Pick<BoundJob, 'name' | 'description' | 'periodSeconds' | 'concurrency'>;
  passSecondsAgo: number | null;
  runSecondsAgo: number | null;
  durationMs: number | null;
  error: string | null;
  errorSecondsAgo: number | null;
}

export type WriteReports = (news: readonly JobNews[]) => Promise<void>;

/** Collects in memory what the jobs of this process did. So a run costs no SQL statement, however many runs there are. */
export interface JobJournal {
  /** Notes that a pass began. */
  began(name: string): void;
  /** Notes that a run ended, with or without an error. */
  ran(name: string, durationMs: number): void;
  failed(name: string, error: unknown): void;
  /**
   * Writes the news of every job. A job without news is written, too, which shows that this replica is at work. If the write fails, the
   * next report contains the news.
   */
  report(): Promise<void>;
}

const MAX_ERROR = 500;

export function createJobJournal({ clock, write }: { clock: Clock; write: WriteReports }, jobs: readonly JobNews['job'][]): JobJournal {
  let journal = new Map<string, News>();
  const note = (name: string, news: News): void => void journal.set(name, { ...journal.get(name), ...news });
  return {
    began: (name) => note(name, { passAtMs: clock.monotonicMs() }),
    ran: (name, durationMs) => note(name, { runAtMs: clock.monotonicMs(), durationMs }),
    // Redacts first, then cuts: a secret that was cut in half no longer has the shape by which it is recognised.
    failed: (name, error) => note(name, { error: redactText(messageOf(error)).slice(0, MAX_ERROR), errorAtMs: clock.monotonicMs() }),
    report: async () => {
      const sent = journal;
      journal = new Map();
      try {
        await write(jobs.map((job) => toJobNews(job, sent.get(job.name) ?? {}, clock.monotonicMs())));
      } catch (error) {
        const since = journal;
        journal = sent;
        since.forEach((news, name) => note(name, news));
        throw error;
      }
    },
  };
}

function toJobNews(job: JobNews['job'], { passAtMs, runAtMs, durationMs, error, errorAtMs }: News, nowMs: number): JobNews {
  const ago = (atMs: number | undefined): number | null => (atMs === undefined ? null : (nowMs - atMs) / 1000);
  const times = { passSecondsAgo: ago(passAtMs), runSecondsAgo: ago(runAtMs), errorSecondsAgo: ago(errorAtMs) };
  return { job, ...times, durationMs: durationMs ?? null, error: error ?? null };
}
