export interface Answer<T> {
  status: number;
  body: T;
  headers: Headers;
}

/** Typed calls to one replica of the API. Answers of any status are answers; only a broken connection rejects. */
export interface ApiClient {
  /** `http://127.0.0.1:port` of the replica. */
  url: string;
  get<T>(path: string): Promise<Answer<T>>;
  post<T>(path: string, body: object, headers?: Record<string, string>): Promise<Answer<T>>;
  patch<T>(path: string, body: object): Promise<Answer<T>>;
  delete(path: string): Promise<Answer<unknown>>;
  /** The same caller at another replica. */
  at(url: string): ApiClient;
}

export interface LeaseBody {
  id: number;
  state: 'provisioning' | 'active' | 'migrating' | 'ending' | 'ended' | 'failed';
  ends_at: string;
  generation: number;
  waiting_since: string | null;
  end_reason: string | null;
  node: { id: number; hostname: string; status: string } | null;
  access: { host: string; port: number; username: string; host_key: string; known_hosts: string; command: string } | null;
  gateway: { host: string; port: number; username: string; host_key: string; known_hosts: string; command: string } | null;
  checkpoint: { enabled: boolean; last_at: string | null; age_seconds: number | null; bytes: number; error: string | null } | null;
}

export interface LeaseDetailBody extends LeaseBody {
  events: { type: string; actor: string; data: Record<string, unknown> }[];
  placements: { generation: number; node_id: number; state: string; last_error: string | null }[];
}

export interface RentBody {
  leases: LeaseBody[];
  password: string | null;
}

export interface NodeBody {
  id: number;
  hostname: string;
  status: string;
  status_reason: string | null;
  address: string;
  reach: 'direct' | 'tunnel';
  free: boolean;
  dirty: boolean;
  lease_id: number | null;
  host_key_fingerprint: string;
  offered_host_key_fingerprint: string | null;
  last_heartbeat_at: string | null;
  last_checked_at: string | null;
  provision_failures: number;
  cpus: number;
  withheld_reason: string | null;
  checked_at: string | null;
  checks: { name: string; result: string; cause: string; remedy: string }[];
}

export interface ProblemBody {
  code: string;
  detail: string;
}

export interface Page<T> {
  items: T[];
}

const ANSWER_LIMIT_MS = 90_000;

/** @param token access token; without it only public routes answer */
export function createApiClient(url: string, token?: string): ApiClient {
  const call = async <T>(method: string, path: string, { body, headers = {} }: { body?: object; headers?: Record<string, string> } = {}): Promise<Answer<T>> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }), ...(body ? { 'Content-Type': 'application/json' } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === '' ? undefined : JSON.parse(text)) as T };
  };
  return {
    url,
    get: (path) => call('GET', path),
    post: (path, body, headers = {}) => call('POST', path, { body, headers }),
    patch: (path, body) => call('PATCH', path, { body }),
    delete: (path) => call('DELETE', path),
    at: (other) => createApiClient(other, token),
  };
}

/** The body of an answer that has to have one of these statuses; throws with the whole answer otherwise. */
export function expectStatus<T>(answer: Answer<T>, ...statuses: number[]): T {
  if (!statuses.includes(answer.status)) {
    throw new Error(`answered ${answer.status} instead of ${statuses.join(' or ')}: ${JSON.stringify(answer.body)}`);
  }
  return answer.body;
}
