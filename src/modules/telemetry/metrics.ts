import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export type RentResult = 'ok' | 'replayed' | 'pending' | 'no_node' | 'refused' | 'failed';

/** Everything that this process measures. No label ever names a user, a lease or a node. */
export interface Metrics {
  registry: Registry;
  rents: Counter<'result'>;
  rentSeconds: Histogram;
  probes: Counter<'outcome'>;
  probeSeconds: Histogram;
  probeLagSeconds: Histogram;
  keptConnections: Gauge;
  keptProbes: Counter<'outcome'>;
  keptProbeLagSeconds: Histogram;
  deaths: Counter;
  migrations: Counter<'result'>;
  migrationSeconds: Histogram;
  wipes: Counter<'result'>;
  wipeSeconds: Histogram;
  placements: Counter<'result'>;
  checkpoints: Counter<'result'>;
  checkpointSeconds: Histogram;
  checkpointBytes: Counter;
  restores: Counter<'result'>;
  loopPasses: Counter<'loop' | 'outcome'>;
  httpSeconds: Histogram<'method' | 'route' | 'status'>;
  /** 1 when this scrape could read the gauges below from the database. */
  databaseUp: Gauge;
  /** Filled at each scrape from the database, left out when it does not answer. */
  nodes: Gauge<'status'>;
  nodesLeasable: Gauge;
  nodesDirty: Gauge;
  leases: Gauge<'state'>;
  queueLagSeconds: Gauge<'queue'>;
  migrationBrake: Gauge;
  /** Of the autoscaler. */
  scaleLeads: Gauge;
  scaleActual: Gauge<'service'>;
  scaleDesired: Gauge<'service'>;
  scaleUtilisation: Gauge<'service'>;
  scaleChanges: Counter<'service' | 'direction'>;
}

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const FAST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> => new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []): Gauge<L> => new Gauge({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, { buckets = SECONDS, labelNames = [] as L[] } = {}): Histogram<L> =>
    new Histogram({ name, help, labelNames, buckets, registers });
  return {
    registry,
    rents: counter('orion_rents_total', 'Rent requests by result', ['result']),
    rentSeconds: histogram('orion_rent_duration_seconds', 'From a rent request to its answer'),
    probes: counter('orion_probes_total', 'Probes by outcome', ['outcome']),
    probeSeconds: histogram('orion_probe_duration_seconds', 'Duration of a probe', { buckets: FAST_SECONDS }),
    probeLagSeconds: histogram('orion_probe_lag_seconds', 'How late probes begin', { buckets: FAST_SECONDS }),
    keptConnections: gauge('orion_kept_connections', 'Connections to nodes that this scheduler keeps'),
    keptProbes: counter('orion_kept_probes_total', 'Pings over kept connections by outcome', ['outcome']),
    keptProbeLagSeconds: histogram('orion_kept_probe_lag_seconds', 'How late pings begin', { buckets: FAST_SECONDS }),
    deaths: counter('orion_node_deaths_total', 'Nodes judged dead'),
    migrations: counter('orion_migrations_total', 'Migrations by result', ['result']),
    migrationSeconds: histogram('orion_migration_duration_seconds', 'From the loss of a node to the account on the next one'),
    wipes: counter('orion_wipes_total', 'Wipes by result', ['result']),
    wipeSeconds: histogram('orion_wipe_duration_seconds', 'Duration of a wipe with its verification'),
    placements: counter('orion_placements_total', 'Attempts to make an account present, by result', ['result']),
    checkpoints: counter('orion_checkpoints_total', 'Checkpoints of homes, by result', ['result']),
    checkpointSeconds: histogram('orion_checkpoint_duration_seconds', 'Duration of a checkpoint that was stored'),
    checkpointBytes: counter('orion_checkpoint_bytes_total', 'Bytes that checkpoints have written to the store'),
    restores: counter('orion_restores_total', 'Homes put back on another node, by result', ['result']),
    loopPasses: counter('orion_loop_passes_total', 'Passes of background loops', ['loop', 'outcome']),
    httpSeconds: histogram('orion_http_request_duration_seconds', 'HTTP requests', { buckets: FAST_SECONDS, labelNames: ['method', 'route', 'status'] }),
    databaseUp: gauge('orion_database_up', '1 when the database answered this scrape; 0: the gauges that come from it are left out'),
    nodes: gauge('orion_nodes', 'Nodes by status', ['status']),
    nodesLeasable: gauge('orion_nodes_leasable', 'Nodes that could be leased now'),
    nodesDirty: gauge('orion_nodes_dirty', 'Nodes that wait for a verified wipe'),
    leases: gauge('orion_leases', 'Leases that are not over, by state', ['state']),
    queueLagSeconds: gauge('orion_queue_lag_seconds', 'How long the longest due piece of work has been waiting', ['queue']),
    migrationBrake: gauge('orion_migration_brake', '1 while most of the fleet fails at once and migration stands still'),
    scaleLeads: gauge('orion_scale_leads', '1 while this autoscaler leads'),
    scaleActual: gauge('orion_scale_actual_replicas', 'Replicas that serve', ['service']),
    scaleDesired: gauge('orion_scale_desired_replicas', 'Replicas that the load asks for', ['service']),
    scaleUtilisation: gauge('orion_scale_utilisation_ratio', 'CPU of a replica on average, smoothed, of its limit or of one core', ['service']),
    scaleChanges: counter('orion_scale_changes_total', 'Changes of the number of replicas', ['service', 'direction']),
  };
}
