import type { Knex } from 'knex';
import type { Migrator } from '../db/migrate';
import type { WorkContext } from '../flows/support/context';
import type { SignedManagement } from '../flows/enrolment/management-statement';
import type { EnrolmentContext } from '../flows/enrolment/register-node';
import type { RecentLogs } from '../lib/recent-logs';
import type { SessionLog, TokenSettings } from '../modules/accounts';
import type { RefusalLog } from '../modules/audit';
import type { GatewayAddress } from './leases/presenter';
import type { NodeFeed } from './nodes/feed';
import type { Limits } from './limits';

export interface ApiSettings {
  signup: 'open' | 'closed';
  /** Quotas that a new account gets. */
  maxLeases: number;
  maxLeaseHours: number;
  minLeaseSeconds: number;
  heartbeatIntervalSeconds: number;
  /** Longest interval between two heartbeats of a node without accounts. */
  heartbeatIdleSeconds: number;
  /** Of the whole fleet together. */
  heartbeatsPerSecond: number;
  contactLimitSeconds: number;
  /** Signed SSH keys that agents install, so that the control plane can log in to nodes. */
  management: SignedManagement;
  /** Proxies whose `X-Forwarded-For` Express trusts: `loopback`, addresses, or false for none. */
  trustProxy: string | false;
  gateway: GatewayAddress | null;
  /** `https://host[:port]` at which machines reach the control plane. Undefined: the installer takes it from each request. */
  publicUrl?: string | undefined;
}

/** What this process reports about itself. */
export interface Replica {
  /** Host name and process id. */
  name: string;
  version: string;
  /** Without secrets. */
  settings: { name: string; value: string | null }[];
  recentLogs: Pick<RecentLogs, 'lines' | 'faults'>;
  migrator: Pick<Migrator, 'status'>;
}

/** Dependencies of the routers. */
export interface ApiDeps {
  ctx: WorkContext & EnrolmentContext & { tokens: TokenSettings };
  /** Connection pool for the requests of agents only. Requests that fill or block the other pool do not delay heartbeats. */
  agentsDb: Knex;
  /**
   * Connection pool for statements that only read and lock nothing: lists, and the lookup of the caller. They never wait behind blocked
   * claims.
   */
  reads: Knex;
  settings: ApiSettings;
  limits: Limits;
  refusals: RefusalLog;
  sessions: SessionLog;
  feed: NodeFeed;
  replica: Replica;
}
