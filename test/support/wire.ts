/** The wire as clients see it, written down once more by hand: a change of the API shows up as a failing test. */
export interface Reply<T> {
  status: number;
  /** What was asked for, and the members of a problem when it is one. */
  body: T & Partial<ProblemJson>;
  text: string;
  headers: Record<string, string>;
}

export interface ProblemJson {
  type: string;
  title: string;
  code: string;
  detail: string;
  request_id: string;
}

export interface UserJson {
  id: number;
  username: string;
  role: string;
  max_leases: number;
  max_lease_hours: number;
  disabled: boolean;
  created_at: string;
}

export interface AccessJson {
  host: string;
  port: number;
  username: string;
  host_key: string;
  host_key_fingerprint: string;
  known_hosts: string;
  command: string;
}

export interface LeaseJson {
  id: number;
  state: string;
  client_id: number;
  created_at: string;
  ends_at: string;
  remaining_seconds: number;
  generation: number;
  waiting_since: string | null;
  ended_at: string | null;
  end_reason: string | null;
  requirements: { cpus: number; memory_mb: number; labels: Record<string, string> };
  node: { id: number; hostname: string; status: string } | null;
  access: AccessJson | null;
}

export interface LeaseDetailJson extends LeaseJson {
  events: { at: string; type: string; actor: string; data: Record<string, unknown> }[];
  placements: { generation: number; node_id: number; state: string; last_error: string | null }[];
}

export interface RentJson {
  leases: LeaseJson[];
  password: string | null;
  next_lease_ends_at?: string | null;
  could_be_satisfied?: boolean;
}

export interface NodeJson {
  id: number;
  hostname: string;
  status: string;
  cpus: number;
  memory_mb: number;
  labels: Record<string, string>;
  free: boolean;
  lease_id: number | null;
  address?: string;
  drained?: boolean;
  dirty?: boolean;
  status_reason?: string | null;
  use?: string;
  predecessor_id?: number | null;
  successor_id?: number | null;
  offered_host_key_fingerprint?: string | null;
}

export interface RegisteredJson {
  node_id: number;
  status: string;
  /** Put there by registerMachine: it is on no wire. */
  credential?: string;
  server_key?: string;
  signature?: string;
  management: { username: string; public_keys: string[]; control_key: string; statement: { text: string; signature: string } };
  heartbeat_interval_seconds: number;
}

export interface TokenJson {
  id: number;
  token: string;
  uses: number;
  max_uses: number;
  revoked_at: string | null;
}

export interface PageJson<T> {
  items: T[];
  next_cursor: string | null;
}
