/** The last report of one replica on a job. Times are by the database's clock. */
export interface JobReport {
  name: string;
  role: string;
  description: string;
  periodSeconds: number;
  concurrency: number;
  lastPassAt: Date | null;
  /** Seconds since the last pass began; null: there was no pass. */
  passAgeSeconds: number | null;
  lastRunAt: Date | null;
  lastDurationMs: number | null;
  lastError: string | null;
  lastErrorAt: Date | null;
}

/** The state of a job, combined from the reports of all its replicas. */
export interface JobState extends Omit<JobReport, 'passAgeSeconds'> {
  /** Replicas that run the job now; 0: it does not run. */
  replicas: number;
}

/** Added to the allowed age of a pass. A failed pass is repeated after 15 s at the latest, and reports are up to 5 s old. */
const GRACE_SECONDS = 30;
const PERIODS_MISSED = 3;

/** Returns whether the replica runs the job. False: the replica is gone, or its pass does not end. */
const isRunning = ({ passAgeSeconds, periodSeconds }: JobReport): boolean =>
  passAgeSeconds !== null && passAgeSeconds <= PERIODS_MISSED * periodSeconds + GRACE_SECONDS;

/**
 * Returns the state of each job, sorted by name.
 *
 * @param reports newest first; the newest report of a job determines the settings that are shown
 */
export function summariseJobs(reports: readonly JobReport[]): JobState[] {
  const names = [...new Set(reports.map(({ name }) => name))].toSorted();
  return names.flatMap((name) => summarise(reports.filter((each) => each.name === name)));
}

function summarise(reports: JobReport[]): JobState[] {
  const [newest] = reports;
  if (!newest) {
    return [];
  }
  const { name, role, description, periodSeconds, concurrency } = newest;
  const { lastPassAt } = latest(reports, 'lastPassAt');
  const { lastRunAt, lastDurationMs } = latest(reports, 'lastRunAt');
  const { lastError, lastErrorAt } = latest(reports, 'lastErrorAt');
  const last = { lastPassAt, lastRunAt, lastDurationMs, lastError, lastErrorAt };
  return [{ name, role, description, periodSeconds, concurrency, ...last, replicas: reports.filter(isRunning).length }];
}

const latest = (reports: JobReport[], at: 'lastPassAt' | 'lastRunAt' | 'lastErrorAt'): JobReport =>
  reports.reduce((best, each) => ((each[at]?.getTime() ?? 0) > (best[at]?.getTime() ?? 0) ? each : best));
