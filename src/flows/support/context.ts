import type { Knex } from 'knex';
import type { BackoffPolicy } from '../../lib/backoff';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import type { UidRange } from '../../lib/uid-range';
import type { Homes } from '../../modules/checkpoints';
import type { HealthPolicy } from '../../modules/nodes';
import type { Provisioner } from '../../modules/provisioning';
import type { Metrics } from '../../modules/telemetry';

/** What every flow is given. */
export interface FlowContext {
  db: Knex;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  /** Who acts when nobody in particular asked: `api` or `scheduler`. For events. */
  actor: string;
  settings: FlowSettings;
}

/** For flows that work on nodes. */
export interface WorkContext extends FlowContext {
  provisioner: Provisioner;
  /** Null: checkpoints are off, or this process has no business with the store. */
  homes: Homes | null;
}

/** How often jobs run, and on how much at once. */
interface JobSettings {
  watchSeconds: number;
  expireSeconds: number;
  /** Of the jobs that play: wipe, placement, migrate, checkpoint. */
  workSeconds: number;
  /** Claims for plays. */
  playsClaimed: number;
  probesAtOnce: number;
}

export interface CheckpointSettings {
  intervalSeconds: number;
  /** Of all that a restore of one lease takes. */
  maxBytes: number;
}

export interface FlowSettings {
  /** How long a claim lasts without being renewed; it is renewed at a third of that. */
  claimSeconds: number;
  /** How long a rent waits for its accounts before it answers with leases that are still being provisioned. */
  rentWaitSeconds: number;
  health: HealthPolicy;
  /** Failed wipes in a row that put a node into quarantine (I9). */
  maxWipeFailures: number;
  /** Failed provisionings in a row that put a node into quarantine. */
  maxProvisionFailures: number;
  /** Public key of the gateways, installed for every account; null: there is none. */
  gatewayKey: string | null;
  retry: BackoffPolicy;
  /** How often a lease that finds no node is tried again. */
  migrateIntervalSeconds: number;
  /** Silence of an agent after which its node is suspect. */
  heartbeatOverdueSeconds: number;
  /** Machines at most that wait for an operator's approval. */
  maxPendingNodes: number;
  /** Where the uids of tenants come from. */
  uids: UidRange;
  /** Silence of all schedulers after which deaths are judged anew (I8). */
  outageSeconds: number;
  /** Null: checkpoints are off. */
  checkpoints: CheckpointSettings | null;
  jobs: JobSettings;
}
