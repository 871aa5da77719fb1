/** The API's documents, as far as the client reads them. docs: `GET /api/docs` of a running server. */

export interface User {
  id: number;
  username: string;
  role: 'user' | 'admin';
  max_leases: number;
  max_lease_hours: number;
  disabled?: boolean;
  created_at?: string;
}

export interface LoginAnswer {
  token: string;
  expires_in_seconds: number;
  user: User;
}

export interface Key {
  id: number;
  name: string;
  public_key: string;
  fingerprint: string;
  created_at: string;
}

export type LeaseState = 'provisioning' | 'active' | 'migrating' | 'ending' | 'ended' | 'failed';

export interface Access {
  host: string;
  port: number;
  username: string;
  host_key: string;
  host_key_fingerprint: string;
  /** One line for a known_hosts file. */
  known_hosts: string;
  command: string;
}

/** The way in that stays the same wherever the lease is moved to. */
export type Gateway = Omit<Access, 'host_key_fingerprint'>;

/** What is saved of a lease's home. */
export interface Checkpoint {
  /** False: the rent asked for none. */
  enabled: boolean;
  last_at: string | null;
  age_seconds: number | null;
  bytes: number;
  error: string | null;
}

export interface Lease {
  id: number;
  state: LeaseState;
  client_id: number;
  created_at: string;
  ends_at: string;
  remaining_seconds: number;
  generation: number;
  waiting_since: string | null;
  end_reason: string | null;
  requirements: { cpus: number | null; memory_mb: number | null; labels: Record<string, string> };
  node: { id: number; hostname: string; status: string } | null;
  /** Null while no account is there. */
  access: Access | null;
  /** Null when the lease is over, or the service has no gateway; servers of before know none. */
  gateway?: Gateway | null;
  /** Null when checkpoints are off there; missing in answers of older servers. */
  checkpoint?: Checkpoint | null;
  /** On its machine; missing in answers of older servers. */
  shared_storage?: SharedStorage[] | null;
}

/** A file system that other machines may share and no wipe walks. */
export interface SharedStorage {
  path: string;
  type: string;
}

export interface LeaseDetail extends Lease {
  events: { at: string; type: string; actor: string | null; data: Record<string, unknown> | null }[];
  placements: { generation: number; node_id: number; state: string; created_at: string; present_at: string | null; wiped_at: string | null; last_error: string | null }[];
}

export interface RentAnswer {
  leases: Lease[];
  password: string | null;
}

/** The fields from `status_reason` on are for admins. */
export interface Node {
  id: number;
  hostname: string;
  status: string;
  cpus: number;
  memory_mb: number;
  labels: Record<string, string>;
  free: boolean;
  lease_id: number | null;
  status_reason?: string | null;
  drained?: boolean;
  leaving?: boolean;
  dirty?: boolean;
  checks?: { name: string; result: 'ok' | 'fail'; cause: string; remedy: string }[];
  predecessor_id?: number | null;
  successor_id?: number | null;
  use?: 'idle' | 'busy' | 'very_busy' | 'short';
  host_key_fingerprint?: string;
  offered_host_key_fingerprint?: string | null;
  withheld_reason?: string | null;
  shared_storage?: 'allow' | 'refuse';
  not_examined?: SharedStorage[];
  uid_range?: string | null;
  uid_refusal?: string | null;
}

export interface JoinToken {
  id: number;
  name: string;
  max_uses: number | null;
  uses: number;
  labels: Record<string, string>;
  expires_at: string | null;
  revoked_at: string | null;
  created_at: string;
  /** Only in the answer that made it. */
  token?: string;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}
