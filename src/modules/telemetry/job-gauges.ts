import { Gauge, type Registry } from 'prom-client';

/**
 * Gauges of each job of the control plane, read from the database. The label is `loop`, because Prometheus gives `job` a meaning of its
 * own.
 */
export interface JobGauges {
  info: Gauge<'loop' | 'role' | 'description'>;
  replicas: Gauge<'loop'>;
  periodSeconds: Gauge<'loop'>;
  lastPass: Gauge<'loop'>;
  lastRun: Gauge<'loop'>;
  lastDurationSeconds: Gauge<'loop'>;
  lastError: Gauge<'loop'>;
  due: Gauge<'loop'>;
  overdueSeconds: Gauge<'loop'>;
}

export function createJobGauges(registers: Registry[]): JobGauges {
  const gauge = (name: string, help: string): Gauge<'loop'> => new Gauge({ name, help, labelNames: ['loop'], registers });
  const help = 'Always 1: the role that runs a job, and what the job does';
  return {
    info: new Gauge({ name: 'orion_job_info', help, labelNames: ['loop', 'role', 'description'], registers }),
    replicas: gauge('orion_job_replicas', 'Replicas that run a job; 0: it does not run'),
    periodSeconds: gauge('orion_job_period_seconds', 'Time between two passes of a job'),
    lastPass: gauge('orion_job_last_pass_timestamp_seconds', 'When the last pass of a job began'),
    lastRun: gauge('orion_job_last_run_timestamp_seconds', 'When the last run of a job ended'),
    lastDurationSeconds: gauge('orion_job_last_run_duration_seconds', 'Duration of the last run of a job'),
    lastError: gauge('orion_job_last_error_timestamp_seconds', 'When a pass or a run of a job last failed'),
    due: gauge('orion_job_due_rows', 'Rows that are due for a job now, counted up to 1000'),
    overdueSeconds: gauge('orion_job_overdue_seconds', 'How long the longest due row has been waiting; 0: no row is due'),
  };
}
