export type WorkerState = 'running' | 'frozen' | 'stopped';

/** The output of launch-workers.sh for one worker, as one JSON document a line. */
export interface WorkerLine {
  name: string;
  address: string;
  port: number;
  /** Pid of its init in the host's pid namespace; null while the worker is down. */
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
