/** What one replica last reported of a job. Times are the database's. */
export interface JobReport {
  name: string;
  role: string;
  description: string;
  periodSeconds: number;
  concurrency: number;
  lastPassAt: Date | null;
  /** Since the last pass began; null: there was none. */
  passAgeSeconds: number | null;
  lastRunAt: Date | null;
  lastDurationMs: number | null;
  lastError: string | null;
  lastErrorAt: Date | null;
}

/** A job as all of its replicas have reported it. */
export interface JobState extends Omit<JobReport, 'passAgeSeconds'> {
  /** Replicas that run it now. None: it does not run. */
  replicas: number;
}

/** A pass that failed is repeated after 15 s at the latest, and reports are up to 5 s old. */
const GRACE_SECONDS = 30;
const PERIODS_MISSED = 3;

/** False: the replica is gone, or its pass does not end. */
const isRunning = ({ passAgeSeconds, periodSeconds }: JobReport): boolean =>
  passAgeSeconds !== null && passAgeSeconds <= PERIODS_MISSED * periodSeconds + GRACE_SECONDS;

/** The jobs by name. @param reports the newest first: its replica's settings are those shown */
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
