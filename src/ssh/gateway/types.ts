import type { SshTarget } from '../dial';

/** Somebody who proved to hold a key of a lease. */
export interface Visitor {
  leaseId: number;
  address: string;
  /** `type base64` */
  publicKey: string;
}

/** Where a lease is to be found now. `homeAgeSeconds`: how old what was saved of its home is, null when nothing is. */
export type Whereabouts =
  | { state: 'present'; generation: number; nodeName: string; username: string; target: SshTarget; endsInSeconds: number; homeAgeSeconds: number | null }
  /** `place`: how many leases wait for a machine up to this one, or null while that is not what it waits for. */
  | { state: 'waiting'; place: number | null; endsInSeconds: number }
  /** For this visitor; `why` goes after "lease 7 ". */
  | { state: 'over'; why: 'is over' | 'does not open to your key any more' };

/** What the gateway has to be told by those who know leases. */
export interface LeaseDirectory {
  /** The public keys (`type base64`) that open the lease; none for one that is over or never was. */
  keysOf(leaseId: number): Promise<string[]>;
  /**
   * Tells `listener` where the lease is, at once and at each change or passing second, until the returned function is called. It is over for a visitor
   * whose key opens it no longer.
   */
  watch(visitor: Pick<Visitor, 'leaseId' | 'publicKey'>, listener: (at: Whereabouts) => void): () => void;
  /** The machine does not answer: somebody should look at it now. */
  suspect(nodeId: number): void;
  /** For the lease's timeline. */
  connected(visitor: Visitor): Promise<void>;
  disconnected(visitor: Visitor, seconds: number): Promise<void>;
}

/** Which ends of forwardings are allowed on a node: none, those on the node itself (loopback addresses and UNIX sockets), or whatever the node reaches. */
export type Forwarding = 'none' | 'local' | 'all';

/** What became of a connection: let in; not let in; let in but for the lease's number of connections; not listened to at all. */
export type LoginResult = 'accepted' | 'refused' | 'full' | 'turned_away';

/** What a gateway counts. */
export interface GatewayMeter {
  login(result: LoginResult): void;
  /** Of clients that were let in and are here now. */
  connections(change: 1 | -1): void;
}

export interface GatewaySettings {
  /** PEM or OpenSSH; what clients know the gateway by. */
  hostKeys: string[];
  /** The key with which the gateway logs in to accounts. */
  privateKey: string;
  forwarding: Forwarding;
  /** A shell is told so many seconds before the end of its lease, the longest first. */
  warnSeconds: number[];
  /** Connections to one lease through this gateway. */
  maxConnectionsPerLease: number;
}

/** Exit statuses of the gateway's own, documented in docs/gateway.md. */
export const EXIT_LEASE_OVER = 253;
export const EXIT_NODE_LOST = 254;
/** As ssh itself ends when a login is refused. */
export const EXIT_LOGIN_REFUSED = 255;

export const reasonOfEnd = (leaseId: number, at: Whereabouts): string => `lease ${leaseId} ${at.state === 'over' ? at.why : 'is over'}`;
