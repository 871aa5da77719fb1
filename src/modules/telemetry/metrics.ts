import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { createJobGauges, type JobGauges } from './job-gauges';

/**
 * A counter whose labels have a closed set of values. All series exist from the start, at 0. If a series began with its first failure, at
 * 1, a query would see no increase.
 */
interface Tally<L extends Record<string, string>> {
  inc(labels: L, value?: number): void;
}

/** The values of one label. */
const RENT_RESULTS = ['ok', 'replayed', 'pending', 'no_node', 'refused', 'failed'] as const;
const WORK_RESULTS = ['ok', 'lost', 'failed'] as const;
const WIPE_RESULTS = [...WORK_RESULTS, 'unfinished'] as const;
const PLACEMENT_RESULTS = [...WORK_RESULTS, 'unreachable', 'host_key_changed', 'stale', 'uid_taken', 'deadline', 'login_refused'] as const;
const PROBE_OUTCOMES = ['ok', 'failed', 'host_key_changed'] as const;
const OUTCOMES = ['ok', 'failed'] as const;
const PASS_OUTCOMES = ['ok', 'error'] as const;
const LOGIN_RESULTS = ['accepted', 'refused', 'full', 'turned_away'] as const;

type In<A extends readonly string[]> = A[number];
export type RentResult = In<typeof RENT_RESULTS>;

/** Everything that this process measures. No label ever names a user, a lease or a node. */
export interface Metrics {
  registry: Registry;
  rents: Tally<{ result: In<typeof RENT_RESULTS> }>;
  rentSeconds: Histogram;
  probes: Tally<{ outcome: In<typeof PROBE_OUTCOMES> }>;
  probeSeconds: Histogram;
  probeLagSeconds: Histogram;
  keptConnections: Gauge;
  keepaliveProbes: Tally<{ outcome: In<typeof OUTCOMES> }>;
  keepaliveProbeLagSeconds: Histogram;
  deaths: Counter;
  migrations: Tally<{ result: 'ok' | 'waiting' }>;
  migrationSeconds: Histogram;
  wipes: Tally<{ result: In<typeof WIPE_RESULTS> }>;
  wipeSeconds: Histogram;
  placements: Tally<{ result: In<typeof PLACEMENT_RESULTS> }>;
  checkpoints: Tally<{ result: In<typeof WORK_RESULTS> }>;
  checkpointSeconds: Histogram;
  checkpointBytes: Counter;
  restores: Tally<{ result: In<typeof OUTCOMES> }>;
  loopPasses: Counter<'loop' | 'outcome'>;
  jobRuns: Counter<'loop' | 'outcome'>;
  httpSeconds: Histogram<'method' | 'route' | 'status'>;
  /** 1 when this scrape could read the gauges below from the database. */
  databaseUp: Gauge;
  /** Read from the database at each scrape, and left out when the database does not answer. */
  nodes: Gauge<'status'>;
  nodesLeasable: Gauge;
  nodesDirty: Gauge;
  leases: Gauge<'state'>;
  queueLagSeconds: Gauge<'queue'>;
  migrationBreaker: Gauge;
  jobs: JobGauges;
  /** Gauges and counters of the autoscaler. */
  scaleLeads: Gauge;
  scaleActual: Gauge<'service'>;
  scaleDesired: Gauge<'service'>;
  scaleUtilisation: Gauge<'service'>;
  scaleChanges: Tally<{ service: 'api' | 'scheduler'; direction: 'up' | 'down' }>;
  /** Gauges and counters of the gateway. */
  gatewayConnections: Gauge;
  gatewayLogins: Tally<{ result: In<typeof LOGIN_RESULTS> }>;
}

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const FAST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> => new Counter({ name, help, labelNames, registers });
  const tally = <L extends string, V extends string>(name: string, help: string, values: Record<L, readonly V[]>): Tally<Record<L, V>> => {
    const made = counter<L>(name, help, Object.keys(values) as L[]);
    combinationsOf(values).forEach((labels) => made.inc(labels, 0));
    return made;
  };
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []): Gauge<L> => new Gauge({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, { buckets = SECONDS, labelNames = [] as L[] } = {}): Histogram<L> =>
    new Histogram({ name, help, labelNames, buckets, registers });
  return {
    registry,
    rents: tally('orion_rents_total', 'Rent requests by result', { result: RENT_RESULTS }),
    rentSeconds: histogram('orion_rent_duration_seconds', 'From a rent request to its answer'),
    probes: tally('orion_probes_total', 'Probes by outcome', { outcome: PROBE_OUTCOMES }),
    probeSeconds: histogram('orion_probe_duration_seconds', 'Duration of a probe', { buckets: FAST_SECONDS }),
    probeLagSeconds: histogram('orion_probe_lag_seconds', 'How late probes begin', { buckets: FAST_SECONDS }),
    keptConnections: gauge('orion_kept_connections', 'Connections to nodes that this scheduler keeps'),
    keepaliveProbes: tally('orion_kept_probes_total', 'Pings over kept connections by outcome', { outcome: OUTCOMES }),
    keepaliveProbeLagSeconds: histogram('orion_kept_probe_lag_seconds', 'How late pings begin', { buckets: FAST_SECONDS }),
    deaths: counter('orion_node_deaths_total', 'Nodes judged dead'),
    migrations: tally('orion_migrations_total', 'Migrations by result', { result: ['ok', 'waiting'] }),
    migrationSeconds: histogram('orion_migration_duration_seconds', 'From the loss of a node to the account on the next one'),
    wipes: tally('orion_wipes_total', 'Wipes by result', { result: WIPE_RESULTS }),
    wipeSeconds: histogram('orion_wipe_duration_seconds', 'Duration of a wipe with its verification'),
    placements: tally('orion_placements_total', 'Attempts to make an account present, by result', { result: PLACEMENT_RESULTS }),
    checkpoints: tally('orion_checkpoints_total', 'Checkpoints of homes, by result', { result: WORK_RESULTS }),
    checkpointSeconds: histogram('orion_checkpoint_duration_seconds', 'Duration of a checkpoint that was stored'),
    checkpointBytes: counter('orion_checkpoint_bytes_total', 'Bytes that checkpoints have written to the store'),
    restores: tally('orion_restores_total', 'Homes put back on another node, by result', { result: OUTCOMES }),
    loopPasses: counter('orion_loop_passes_total', 'Passes of background loops', ['loop', 'outcome']),
    jobRuns: counter('orion_job_runs_total', 'Runs of jobs: the work on a claim, or the pass of a job without claims', ['loop', 'outcome']),
    httpSeconds: histogram('orion_http_request_duration_seconds', 'HTTP requests', { buckets: FAST_SECONDS, labelNames: ['method', 'route', 'status'] }),
    databaseUp: gauge('orion_database_up', '1 when the database answered this scrape; 0: the gauges that come from it are left out'),
    nodes: gauge('orion_nodes', 'Nodes by status', ['status']),
    nodesLeasable: gauge('orion_nodes_leasable', 'Nodes that could be leased now'),
    nodesDirty: gauge('orion_nodes_dirty', 'Nodes that wait for a verified wipe'),
    leases: gauge('orion_leases', 'Leases that are not over, by state', ['state']),
    queueLagSeconds: gauge('orion_queue_lag_seconds', 'How long the longest due piece of work has been waiting', ['queue']),
    migrationBreaker: gauge('orion_migration_brake', '1 while most of the fleet fails at once and migration stands still'),
    jobs: createJobGauges(registers),
    scaleLeads: gauge('orion_scale_leads', '1 while this autoscaler leads'),
    scaleActual: gauge('orion_scale_actual_replicas', 'Replicas that serve', ['service']),
    scaleDesired: gauge('orion_scale_desired_replicas', 'Replicas that the load asks for', ['service']),
    scaleUtilisation: gauge('orion_scale_utilisation_ratio', 'CPU of a replica on average, smoothed, of its limit or of one core', ['service']),
    scaleChanges: tally<'service' | 'direction', string>('orion_scale_changes_total', 'Changes of the number of replicas', { service: ['api', 'scheduler'], direction: ['up', 'down'] }),
    gatewayConnections: gauge('orion_gateway_connections', 'Connections of clients that this gateway has let in and that are open'),
    gatewayLogins: tally('orion_gateway_logins_total', 'Connections to the gateway by what became of them', { result: LOGIN_RESULTS }),
  };
}

/** Returns one object for each combination of label values. */
function combinationsOf<L extends string, V extends string>(values: Record<L, readonly V[]>): Record<L, V>[] {
  const entries = Object.entries(values) as [L, readonly V[]][];
  return entries.reduce((rows, [label, each]) => rows.flatMap((row) => each.map((value) => ({ ...row, [label]: value }))), [{} as Record<L, V>]);
}

type CountOutcome = (outcome: In<typeof PASS_OUTCOMES>) => void;

/** Returns the function that a loop calls after each of its passes. */
export const countPasses = ({ loopPasses }: Metrics, loop: string): CountOutcome => countOutcomes(loopPasses, loop);

/** Returns the function that is called after each run of a job. */
export const countRuns = ({ jobRuns }: Metrics, loop: string): CountOutcome => countOutcomes(jobRuns, loop);

function countOutcomes(made: Metrics['loopPasses'], loop: string): CountOutcome {
  PASS_OUTCOMES.forEach((outcome) => made.inc({ loop, outcome }, 0));
  return (outcome) => made.inc({ loop, outcome });
}
