import type { Knex } from 'knex';
import type { BackoffPolicy } from '../../lib/backoff';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import type { UidRange } from '../../lib/uid-range';
import type { Homes } from '../../modules/checkpoints';
import type { HealthPolicy } from '../../modules/nodes';
import type { Provisioner } from '../../modules/provisioning';
import type { Metrics } from '../../modules/telemetry';

/** The context of every flow. */
export interface FlowContext {
  db: Knex;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  /** The actor in events when no user gave the order: `api` or `scheduler`. */
  actor: string;
  settings: FlowSettings;
}

/** The context of flows that work on nodes. */
export interface WorkContext extends FlowContext {
  provisioner: Provisioner;
  /** Null: home backups are off, or this process does not use the store. */
  homes: Homes | null;
}

/** How often jobs run, and their concurrency. */
interface JobSettings {
  watchSeconds: number;
  expireSeconds: number;
  /** Period of the jobs that run plays: wipe, placement, migrate, checkpoint. */
  workSeconds: number;
  /** Maximum number of claims for plays. */
  playsClaimed: number;
  probesAtOnce: number;
}

export interface CheckpointSettings {
  intervalSeconds: number;
  /** Limit of all archives that a restore of one lease reads. */
  maxBytes: number;
}

export interface FlowSettings {
  /** How long a claim lasts without being renewed. It is renewed after each third of this time. */
  claimSeconds: number;
  /** How long a rent waits for its accounts. Then it answers with leases that are still being provisioned. */
  rentWaitSeconds: number;
  health: HealthPolicy;
  /** Number of failed wipes in a row after which a node is quarantined (I9). */
  maxWipeFailures: number;
  /** Number of failed provisionings in a row after which a node is quarantined. */
  maxProvisionFailures: number;
  /** Public key of the gateways, installed for every account. Null: there is no gateway. */
  gatewayKey: string | null;
  /** Accounts admit the gateway alone: neither the keys nor the password of their owner. Requires gatewayKey. */
  gatewayOnly: boolean;
  retry: BackoffPolicy;
  /** How often the move of a lease is tried again while no node is free. */
  migrateIntervalSeconds: number;
  /** Silence of an agent after which its node becomes suspect. */
  heartbeatOverdueSeconds: number;
  /** Maximum number of machines that wait for approval by an operator. */
  maxPendingNodes: number;
  /** Range of the tenants' uids. */
  uids: UidRange;
  /** Silence of all schedulers after which health is judged anew (I8). */
  outageSeconds: number;
  /** Days that ended leases and events are kept; 0: for ever. */
  historyDays: number;
  /** Null: home backups are off. */
  checkpoints: CheckpointSettings | null;
  jobs: JobSettings;
}
