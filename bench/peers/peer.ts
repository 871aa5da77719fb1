/** A job queue of others. */
export interface Peer {
  /** With its setting: what the table calls it. */
  name: string;
  /** Adds so many jobs that do nothing; then, timed, takes and completes them all, so many at once. Jobs per second. */
  work(jobs: number, concurrency: number): Promise<number>;
}
