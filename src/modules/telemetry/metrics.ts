import { collectDefaultMetrics, Registry } from 'prom-client';
import { MOVE_CAUSES } from '../../lib/event-types';
import { createJobGauges, type JobGauges } from './job-gauges';
import { createMakers, FAST_SECONDS, type Makers } from './makers';

/** The values of one label. */
const RENT_RESULTS = ['ok', 'replayed', 'pending', 'no_node', 'refused', 'failed'] as const;
const WORK_RESULTS = ['ok', 'lost', 'failed'] as const;
const WIPE_RESULTS = [...WORK_RESULTS, 'unfinished'] as const;
const PLACEMENT_RESULTS = [...WORK_RESULTS, 'unreachable', 'host_key_changed', 'stale', 'uid_taken', 'deadline', 'login_refused'] as const;
const PROBE_OUTCOMES = ['ok', 'failed', 'host_key_changed'] as const;
const OUTCOMES = ['ok', 'failed'] as const;
const PASS_OUTCOMES = ['ok', 'error'] as const;
const LOGIN_RESULTS = ['accepted', 'refused', 'full', 'turned_away'] as const;
const DIRECTIONS = ['received', 'sent'] as const;
const BATCHES = ['rents', 'heartbeats'] as const;

type In<A extends readonly string[]> = A[number];
export type RentResult = In<typeof RENT_RESULTS>;

const ITEMS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

interface Scraped {
  registry: Registry;
  /** Called at the beginning of each scrape, for values that somebody else counts. */
  beforeScrape: Set<() => void>;
  jobs: JobGauges;
}

/** Everything that this process measures. No label ever names a user, a lease or a node. */
export type Metrics = Scraped &
  ReturnType<typeof createWorkMetrics> &
  ReturnType<typeof createProcessMetrics> &
  ReturnType<typeof createFleetGauges> &
  ReturnType<typeof createScalingMetrics> &
  ReturnType<typeof createGatewayMetrics>;

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const makers = createMakers(registry);
  return {
    registry,
    beforeScrape: new Set(),
    jobs: createJobGauges([registry]),
    ...createWorkMetrics(makers),
    ...createProcessMetrics(makers),
    ...createFleetGauges(makers),
    ...createScalingMetrics(makers),
    ...createGatewayMetrics(makers),
  };
}

const createWorkMetrics = ({ counter, counterBy, gauge, histogram, histogramBy }: Makers) => ({
  rents: counterBy('orion_rents_total', 'Rent requests by result', { result: RENT_RESULTS }),
  rentSeconds: histogram('orion_rent_duration_seconds', 'From a rent request to its answer'),
  probes: counterBy('orion_probes_total', 'Probes by outcome', { outcome: PROBE_OUTCOMES }),
  probeSeconds: histogram('orion_probe_duration_seconds', 'Duration of a probe', { buckets: FAST_SECONDS }),
  probeLagSeconds: histogram('orion_probe_lag_seconds', 'How late probes begin', { buckets: FAST_SECONDS }),
  keptConnections: gauge('orion_kept_connections', 'Connections to nodes that this scheduler keeps'),
  keepaliveProbes: counterBy('orion_kept_probes_total', 'Pings over kept connections by outcome', { outcome: OUTCOMES }),
  keepaliveProbeLagSeconds: histogram('orion_kept_probe_lag_seconds', 'How late pings begin', { buckets: FAST_SECONDS }),
  deaths: counter('orion_node_deaths_total', 'Nodes judged dead'),
  migrations: counterBy('orion_migrations_total', 'Migrations by result', { result: ['ok', 'waiting'] }),
  migrationSeconds: histogramBy('orion_migration_duration_seconds', 'From the loss of a node, or the order to leave it, to the next one', {
    values: { cause: MOVE_CAUSES },
  }),
  wipes: counterBy('orion_wipes_total', 'Wipes by result', { result: WIPE_RESULTS }),
  wipeSeconds: histogram('orion_wipe_duration_seconds', 'Duration of a wipe with its verification'),
  placements: counterBy('orion_placements_total', 'Attempts to make an account present, by result', { result: PLACEMENT_RESULTS }),
  checkpoints: counterBy('orion_checkpoints_total', 'Checkpoints of homes, by result', { result: WORK_RESULTS }),
  checkpointSeconds: histogram('orion_checkpoint_duration_seconds', 'Duration of a checkpoint that was stored'),
  checkpointBytes: counter('orion_checkpoint_bytes_total', 'Bytes that checkpoints have written to the store'),
  restores: counterBy('orion_restores_total', 'Homes put back on another node, by result', { result: OUTCOMES }),
});

const createProcessMetrics = ({ counter, counterBy, gauge, histogram, histogramBy }: Makers) => ({
  loopPasses: counter('orion_loop_passes_total', 'Passes of background loops', ['loop', 'outcome']),
  jobRuns: counter('orion_job_runs_total', 'Runs of jobs: the work on a claim, or the pass of a job without claims', ['loop', 'outcome']),
  httpSeconds: histogram('orion_http_request_duration_seconds', 'HTTP requests', {
    buckets: FAST_SECONDS,
    labelNames: ['method', 'route', 'status'],
  }),
  heartbeats: counterBy('orion_heartbeats_total', 'Heartbeats of agents that were to be written, by result', { result: OUTCOMES }),
  batchItems: histogramBy('orion_batch_items', 'Requests that shared a transaction or a statement', {
    values: { batch: BATCHES },
    buckets: ITEMS,
  }),
  tunnels: gauge('orion_tunnels_held', 'Tunnels of nodes that this API owns'),
  buildInfo: gauge('orion_build_info', 'Always 1: the version of this process', ['version']),
  ready: gauge('orion_ready', '1 while this process accepts work; 0: it starts, stops, or waits for the schema'),
  poolConnections: gauge('orion_database_connections_in_use', 'Connections of a pool that are in use', ['pool']),
  poolWaiting: gauge('orion_database_pool_waiting', 'Callers that wait for a connection of a pool', ['pool']),
  logLinesLost: counter('orion_log_lines_lost_total', 'Log lines that could not be written'),
  databaseUp: gauge('orion_database_up', '1 when the database answered this scrape; 0: the gauges that come from it are left out'),
});

/** Read from the database at each scrape, and left out when the database does not answer. */
const createFleetGauges = ({ gauge }: Makers) => ({
  nodes: gauge('orion_nodes', 'Nodes by status', ['status']),
  nodesLeasable: gauge('orion_nodes_leasable', 'Nodes that could be leased now'),
  nodesDirty: gauge('orion_nodes_dirty', 'Nodes that wait for a verified wipe'),
  leases: gauge('orion_leases', 'Leases that are not over, by state', ['state']),
  queueLagSeconds: gauge('orion_queue_lag_seconds', 'How long the longest due piece of work has been waiting', ['queue']),
  lateBackupSeconds: gauge('orion_late_backup_age_seconds', 'Age of the oldest home backup whose successor is overdue or failed; 0: none'),
  migrationBreaker: gauge('orion_migration_brake', '1 while most of the fleet fails at once and migration stands still'),
});

const createScalingMetrics = ({ counterBy, gauge }: Makers) => ({
  scaleLeads: gauge('orion_scale_leads', '1 while this autoscaler leads'),
  scaleActual: gauge('orion_scale_actual_replicas', 'Replicas that serve', ['service']),
  scaleDesired: gauge('orion_scale_desired_replicas', 'Replicas that the load asks for', ['service']),
  scaleUtilisation: gauge('orion_scale_utilisation_ratio', 'CPU of a replica on average, smoothed, of its limit or of one core', [
    'service',
  ]),
  scaleChanges: counterBy('orion_scale_changes_total', 'Changes of the number of replicas', {
    service: ['api', 'scheduler'],
    direction: ['up', 'down'],
  }),
});

const createGatewayMetrics = ({ counterBy, gauge }: Makers) => ({
  gatewayConnections: gauge('orion_gateway_connections', 'Connections of clients that this gateway has let in and that are open'),
  gatewayLogins: counterBy('orion_gateway_logins_total', 'Connections to the gateway by what became of them', { result: LOGIN_RESULTS }),
  gatewayBytes: counterBy('orion_gateway_bytes_total', 'Bytes between this gateway and its clients', { direction: DIRECTIONS }),
});

type CountOutcome = (outcome: In<typeof PASS_OUTCOMES>) => void;

/** Returns the function that a loop calls after each of its passes. */
export const countPasses = ({ loopPasses }: Metrics, loop: string): CountOutcome => countOutcomes(loopPasses, loop);

/** Returns the function that is called after each run of a job. */
export const countRuns = ({ jobRuns }: Metrics, loop: string): CountOutcome => countOutcomes(jobRuns, loop);

function countOutcomes(made: Metrics['loopPasses'], loop: string): CountOutcome {
  PASS_OUTCOMES.forEach((outcome) => made.inc({ loop, outcome }, 0));
  return (outcome) => made.inc({ loop, outcome });
}
