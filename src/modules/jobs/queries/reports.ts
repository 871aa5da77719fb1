import type { Knex } from 'knex';
import { execute, IN_SECONDS, rowsOf, selectRows } from '../../../db/sql';
import { type Db, transaction } from '../../../db/transaction';
import { newClaimToken } from '../../../lib/ids';
import type { JobNews, WriteReports } from '../journal';
import type { JobReport } from '../state';

/** The reports of a replica that did not report for this long are deleted once another replica of its role reports. */
const FORGOTTEN_SECONDS = 3_600;
/** … and after this long once any replica reports, because the role may be gone for good. */
const GONE_DAYS = 7;
const FORGOTTEN_AT_ONCE = 100;
/** Maximum number of rows that `listJobReports` reads: the newest reports of some hundred replicas. */
const MAX_READ = 2_000;

/** Columns that keep their value when a report has no news of them. */
const NEWS = ['last_pass_at', 'last_run_at', 'last_error_at', 'last_duration_ms', 'last_error'];

const unlessNull = (column: string): string => `${column} = COALESCE(VALUES(${column}), ${column})`;

/** Creates the function that writes the reports of one replica. It writes one row for each job, and no other replica writes these rows. */
export function createReportWriter(db: Knex, role: string): WriteReports {
  const replicaId = newClaimToken();
  return (news) =>
    transaction(db, async (tx) => {
      await execute(
        tx,
        `INSERT INTO job_reports (replica_id, role, job, description, period_ms, concurrency, ${NEWS.join(', ')}, reported_at)
         VALUES ${rowsOf(news, `(?, ?, ?, ?, ?, ?, ${IN_SECONDS}, ${IN_SECONDS}, ${IN_SECONDS}, ?, ?, UTC_TIMESTAMP(3))`)}
         ON DUPLICATE KEY UPDATE reported_at = VALUES(reported_at), ${NEWS.map(unlessNull).join(', ')}`,
        news.flatMap((each) => [replicaId, role, ...valuesOf(each)]),
      );
      const forgotten =
        'reported_at < UTC_TIMESTAMP(3) - INTERVAL ? SECOND AND (role = ? OR reported_at < UTC_TIMESTAMP(3) - INTERVAL ? DAY)';
      await execute(tx, `DELETE FROM job_reports WHERE ${forgotten} LIMIT ?`, [FORGOTTEN_SECONDS, role, GONE_DAYS, FORGOTTEN_AT_ONCE]);
    });
}

function valuesOf({ job, passSecondsAgo, runSecondsAgo, errorSecondsAgo, durationMs, error }: JobNews): (string | number | null)[] {
  const times = [passSecondsAgo, runSecondsAgo, errorSecondsAgo].map((seconds) => (seconds === null ? null : -seconds));
  const duration = durationMs === null ? null : Math.round(durationMs);
  return [job.name, job.description, Math.round(job.periodSeconds * 1000), job.concurrency, ...times, duration, error];
}

interface ReportRow {
  job: string;
  role: string;
  description: string;
  period_ms: number;
  concurrency: number;
  last_pass_at: Date | null;
  pass_age: string | number | null;
  last_run_at: Date | null;
  last_duration_ms: number | null;
  last_error: string | null;
  last_error_at: Date | null;
}

/** Lists what each replica last reported of each job, the newest reports first. */
export async function listJobReports(db: Db): Promise<JobReport[]> {
  const rows = await selectRows<ReportRow>(
    db,
    `SELECT job, role, description, period_ms, concurrency, last_pass_at, last_run_at, last_duration_ms, last_error, last_error_at,
            TIMESTAMPDIFF(MICROSECOND, last_pass_at, UTC_TIMESTAMP(3)) / 1000000 AS pass_age
       FROM job_reports ORDER BY reported_at DESC LIMIT ?`,
    [MAX_READ],
  );
  return rows.map((row) => ({
    name: row.job,
    role: row.role,
    description: row.description,
    periodSeconds: row.period_ms / 1000,
    concurrency: row.concurrency,
    lastPassAt: row.last_pass_at,
    passAgeSeconds: row.pass_age === null ? null : Number(row.pass_age),
    lastRunAt: row.last_run_at,
    lastDurationMs: row.last_duration_ms,
    lastError: row.last_error,
    lastErrorAt: row.last_error_at,
  }));
}
