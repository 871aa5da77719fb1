import { type Dashboard, durations, figure, lines, meanBatch, ofFleet, quantile, rates, table } from './panels';

const fleet: Dashboard = {
  name: 'fleet',
  title: 'Fleet',
  panels: [
    figure('Nodes that can be leased', 'short', { leasable: 'max(orion_nodes_leasable)', 'waiting for a wipe': 'max(orion_nodes_dirty)' }),
    figure('Nodes that died in a day', 'short', { died: 'sum(increase(orion_node_deaths_total[1d]))' }),
    ofFleet('Nodes by status', 'short', 'orion_nodes', 'status'),
    ofFleet('Leases by state', 'short', 'orion_leases', 'state'),
    rates('Full-login probes', 'orion_probes_total', 'outcome'),
    durations('Duration of full-login probes', 'orion_probe_duration_seconds'),
    rates('Keepalive probes', 'orion_kept_probes_total', 'outcome'),
    lines('Pooled SSH sessions', 'short', { '{{instance}}': 'orion_kept_connections{job="scheduler"}' }),
    lines('How late probes begin (p95)', 's', {
      'full login': quantile(0.95, 'orion_probe_lag_seconds'),
      keepalive: quantile(0.95, 'orion_kept_probe_lag_seconds'),
    }),
    ofFleet('Lag of the queue of probes', 's', 'orion_queue_lag_seconds{queue="probes"}', 'queue'),
    rates('Heartbeats by result', 'orion_heartbeats_total', 'result'),
    lines('Heartbeats in a statement (mean)', 'short', { heartbeats: meanBatch('heartbeats') }),
    lines('Tunnels', 'short', { '{{instance}}': 'orion_tunnels_held{job="api"}' }),
  ],
};

const renting: Dashboard = {
  name: 'renting',
  title: 'Renting',
  panels: [
    figure('Rents that miss the objective (6 h; budget 0.1 %)', 'percentunit', { missed: 'orion:rents_bad:ratio_rate6h' }),
    figure('Nodes that can be leased', 'short', { leasable: 'max(orion_nodes_leasable)' }),
    rates('Rents by result', 'orion_rents_total', 'result'),
    durations('From a rent to its answer', 'orion_rent_duration_seconds'),
    lines('Rents in a transaction (mean)', 'short', { rents: meanBatch('rents') }),
    rates('Accounts by result', 'orion_placements_total', 'result'),
    ofFleet('Lag of the queue of accounts', 's', 'orion_queue_lag_seconds{queue="placements"}', 'queue'),
    rates('Requests for rents by status', 'orion_http_request_duration_seconds_count{route="/api/rent"}', 'status'),
    lines('CPU of the APIs', 'percentunit', { '{{instance}}': 'rate(process_cpu_seconds_total{job="api"}[$__rate_interval])' }),
  ],
};

const healing: Dashboard = {
  name: 'healing',
  title: 'Healing and wipes',
  panels: [
    figure('Moves that miss the objective (6 h; budget 1 %)', 'percentunit', { missed: 'orion:moves_bad:ratio_rate6h' }),
    figure('Circuit breaker', 'short', { '1: moves are stopped': 'max(orion_migration_brake)' }),
    rates('Moves by result', 'orion_migrations_total', 'result'),
    durations('From the death of a node to the next account', 'orion_migration_duration_seconds', '{cause="death"}'),
    lines('Moves by cause', 'ops', { '{{cause}}': 'sum by (cause) (rate(orion_migration_duration_seconds_count[$__rate_interval]))' }),
    rates('Wipes by result', 'orion_wipes_total', 'result'),
    durations('Duration of a wipe with its verification', 'orion_wipe_duration_seconds'),
    lines('Nodes that wait for a wipe', 'short', {
      dirty: 'max(orion_nodes_dirty)',
      quarantined: 'max(orion_nodes{status="quarantined"})',
    }),
    ofFleet('Lag of the queues of wipes and home backups', 's', 'orion_queue_lag_seconds{queue=~"wipes|checkpoints"}', 'queue'),
    rates('Home backups by result', 'orion_checkpoints_total', 'result'),
    durations('Duration of a home backup', 'orion_checkpoint_duration_seconds'),
    lines('Age of the oldest home backup that is overdue', 's', { age: 'max(orion_late_backup_age_seconds)' }),
    lines('Home backups, written to the store', 'Bps', { bytes: 'sum(rate(orion_checkpoint_bytes_total[$__rate_interval]))' }),
    rates('Restored homes by result', 'orion_restores_total', 'result'),
  ],
};

const controlPlane: Dashboard = {
  name: 'control-plane',
  title: 'Control plane',
  panels: [
    lines('Replicas that answer', 'short', { '{{job}}': 'sum by (job) (up{job=~"api|scheduler|gateway|autoscaler"})' }),
    lines('Replicas that accept work', 'short', { '{{job}}': 'sum by (job) (orion_ready)' }),
    lines('Replicas by version', 'short', { '{{job}} {{version}}': 'count by (job, version) (orion_build_info)' }),
    lines('Replicas that read the database', 'short', { '{{job}}': 'sum by (job) (orion_database_up)' }),
    lines('Database connections in use', 'short', { '{{job}} {{pool}}': 'sum by (job, pool) (orion_database_connections_in_use)' }),
    lines('Callers that wait for a connection', 'short', { '{{job}} {{pool}}': 'sum by (job, pool) (orion_database_pool_waiting)' }),
    rates('HTTP requests by status', 'orion_http_request_duration_seconds_count', 'status'),
    durations('Duration of HTTP requests', 'orion_http_request_duration_seconds'),
    lines('CPU', 'percentunit', { '{{job}} {{instance}}': 'rate(process_cpu_seconds_total[$__rate_interval])' }),
    lines('Memory', 'bytes', { '{{job}} {{instance}}': 'process_resident_memory_bytes' }),
    lines('Log lines lost, an hour', 'short', { '{{job}}': 'sum by (job) (increase(orion_log_lines_lost_total[1h]))' }),
    lines('Delay of the event loop (p99)', 's', { '{{job}} {{instance}}': 'nodejs_eventloop_lag_p99_seconds' }),
    ofFleet('Lag of the queues', 's', 'orion_queue_lag_seconds', 'queue'),
    table('Jobs', 'short', { '': 'max by (role, loop, description) (orion_job_info)' }),
    ofFleet('Replicas that run a job', 'short', 'orion_job_replicas', 'loop'),
    ofFleet('Rows that wait for a job', 'short', 'orion_job_due_rows', 'loop'),
    ofFleet('Longest wait for a job', 's', 'orion_job_overdue_seconds', 'loop'),
    lines('Runs of jobs', 'ops', { '{{loop}} {{outcome}}': 'sum by (loop, outcome) (rate(orion_job_runs_total[$__rate_interval]))' }),
    ofFleet('Duration of the last run of a job', 's', 'orion_job_last_run_duration_seconds', 'loop'),
    rates('Passes of loops that failed', 'orion_loop_passes_total{outcome="error"}', 'loop'),
    lines('Periods since the last pass of a job', 'short', {
      '{{loop}}': '(time() - max by (loop) (orion_job_last_pass_timestamp_seconds)) / max by (loop) (orion_job_period_seconds)',
    }),
    lines('Time since the last run of a job', 's', { '{{loop}}': 'time() - max by (loop) (orion_job_last_run_timestamp_seconds)' }),
    lines('Time since the last error of a job', 's', { '{{loop}}': 'time() - max by (loop) (orion_job_last_error_timestamp_seconds)' }),
    lines('Replicas: actual and desired', 'short', {
      '{{service}} actual': 'max by (service) (orion_scale_actual_replicas)',
      '{{service}} desired': 'max by (service) (orion_scale_desired_replicas)',
    }),
    lines('Changes of the number of replicas, an hour', 'short', {
      '{{service}} {{direction}}': 'sum by (service, direction) (increase(orion_scale_changes_total[1h]))',
    }),
    ofFleet('Utilisation that the autoscaler sees', 'percentunit', 'orion_scale_utilisation_ratio', 'service'),
    lines('Autoscalers that lead (must be 1)', 'short', { leaders: 'sum(orion_scale_leads)' }),
  ],
};

const gateway: Dashboard = {
  name: 'gateway',
  title: 'Gateway',
  panels: [
    figure('Gateway sessions now', 'short', { open: 'sum(orion_gateway_connections)' }),
    figure('Connections turned away in an hour', 'short', {
      'turned away': 'sum(increase(orion_gateway_logins_total{result="turned_away"}[1h]))',
    }),
    lines('Gateway sessions by replica', 'short', { '{{instance}}': 'orion_gateway_connections{job="gateway"}' }),
    rates('Logins by result', 'orion_gateway_logins_total', 'result'),
    lines('Bytes between gateways and clients', 'Bps', {
      '{{direction}}': 'sum by (direction) (rate(orion_gateway_bytes_total[$__rate_interval]))',
    }),
    lines('CPU', 'percentunit', { '{{instance}}': 'rate(process_cpu_seconds_total{job="gateway"}[$__rate_interval])' }),
    lines('Memory', 'bytes', { '{{instance}}': 'process_resident_memory_bytes{job="gateway"}' }),
  ],
};

export const DASHBOARDS: readonly Dashboard[] = [fleet, renting, healing, controlPlane, gateway];

/** Prometheus does not know Grafana's variables. */
const withoutVariables = (expr: string): string => expr.replaceAll('$__rate_interval', '5m');

export const panelQueries = (): string[] =>
  DASHBOARDS.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => withoutVariables(expr))));
