import type { Knex } from 'knex';
import type { WorkContext } from '../flows/support/context';
import type { SignedManagement } from '../flows/enrolment/management-statement';
import type { EnrolmentContext } from '../flows/enrolment/register-node';
import type { TokenSettings } from '../modules/accounts';
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
  /** How seldom a node without accounts calls at most. */
  heartbeatIdleSeconds: number;
  /** Of the whole fleet, together. */
  heartbeatsPerSecond: number;
  contactLimitSeconds: number;
  /** The keys that open nodes to the control plane, for their agents. */
  management: SignedManagement;
  /** What Express trusts about `X-Forwarded-For`: `loopback`, addresses, or false. */
  trustProxy: string | false;
  gateway: GatewayAddress | null;
  /** `https://host[:port]` at which machines reach the control plane; undefined: taken from each request for the installer. */
  publicUrl?: string | undefined;
}

/** What the routers are given. */
export interface ApiDeps {
  ctx: WorkContext & EnrolmentContext & { tokens: TokenSettings };
  /** Connections that only agents' calls use: requests that fill or block the other pool do not keep a heartbeat waiting. */
  agentsDb: Knex;
  /** For what only reads and locks nothing: lists, and who asks. It has connections of its own and never waits behind claims that are blocked. */
  reads: Knex;
  settings: ApiSettings;
  limits: Limits;
  refusals: RefusalLog;
  feed: NodeFeed;
}
