import type { Cause } from '../../lib/origin';
import type { SshTarget } from '../dial';

/** A gateway client that proved that it holds a key of a lease. */
export interface GatewayClient {
  leaseId: number;
  address: string;
  /** `type base64` */
  publicKey: string;
  /** The act that last ordered work on the lease. */
  cause: Cause;
}

/** Where a lease is now. `homeAgeSeconds`: age of its home backup, or null when there is none. */
export type Whereabouts =
  | {
      state: 'present';
      generation: number;
      nodeName: string;
      username: string;
      target: SshTarget;
      endsInSeconds: number;
      homeAgeSeconds: number | null;
    }
  /** `place`: position of the lease in the queue for a machine. Null: it does not wait in that queue. */
  | { state: 'waiting'; place: number | null; endsInSeconds: number }
  /** Over for this client. `why` follows "lease 7 ". */
  | { state: 'over'; why: 'is over' | 'does not open to your key any more' };

/** The lease data that the gateway needs, and its reports about leases. */
export interface LeaseDirectory {
  /** Returns the public keys (`type base64`) that open the lease. Empty for a lease that is over or never existed. */
  keysOf(leaseId: number): Promise<string[]>;
  /** Returns the act that last ordered work on the lease, so that the log lines of a session can be found with those of its rent. */
  causeOf(leaseId: number): Promise<Cause>;
  /**
   * Reports to `listener` where the lease is: at once, at each change and every second, until the returned function is called. The lease is
   * over for a client whose key no longer opens it.
   */
  watch(gatewayClient: Pick<GatewayClient, 'leaseId' | 'publicKey'>, listener: (at: Whereabouts) => void): () => void;
  /** Reports that a machine does not answer, so that it is checked now. */
  suspect(nodeId: number): void;
  /** Records the session in the lease's timeline. */
  connected(gatewayClient: GatewayClient): Promise<void>;
  disconnected(gatewayClient: GatewayClient, seconds: number): Promise<void>;
}

/**
 * Targets of forwardings that are allowed on a node: none, those on the node itself (loopback addresses and UNIX sockets), or all that the
 * node reaches.
 */
export type Forwarding = 'none' | 'local' | 'all';

/** Result of a connection. `refused`: not admitted; `full`: the lease has too many connections. `turned_away`: closed before any login. */
export type LoginResult = 'accepted' | 'refused' | 'full' | 'turned_away';

/** Metrics of a gateway. */
export interface GatewayMeter {
  login(result: LoginResult): void;
  /** Changes the number of open connections of admitted clients. */
  connections(change: 1 | -1): void;
}

export interface GatewaySettings {
  /** PEM or OpenSSH private keys that identify the gateway to clients. */
  hostKeys: string[];
  /** The key with which the gateway logs in to accounts. */
  privateKey: string;
  forwarding: Forwarding;
  /** Seconds before the end of a lease at which its shells get a warning, the longest first. */
  warnSeconds: number[];
  /** Connections to one lease at most, through this gateway. */
  maxConnectionsPerLease: number;
}

/** Exit statuses that only the gateway uses. docs/gateway.md describes them. */
export const EXIT_LEASE_OVER = 253;
export const EXIT_NODE_LOST = 254;
/** ssh itself ends with this status when a login is refused. */
export const EXIT_LOGIN_REFUSED = 255;

export const reasonOfEnd = (leaseId: number, at: Whereabouts): string => `lease ${leaseId} ${at.state === 'over' ? at.why : 'is over'}`;
