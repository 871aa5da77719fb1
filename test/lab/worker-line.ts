export type WorkerState = 'running' | 'frozen' | 'stopped';

/** What launch-workers.sh says of a worker, one JSON document a line. */
export interface WorkerLine {
  name: string;
  address: string;
  port: number;
  /** Its init, as the host numbers it; null while it is down. */
  pid: number | null;
  state: WorkerState;
  host_key: string;
  logs: string;
}

export function parseWorkers(output: string): WorkerLine[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as WorkerLine);
}
