import type { Facts, Vitals } from './facts';

/** The account through which the control plane works on this node, and the keys that open it. Keys are not yet validated. */
export interface Management {
  username: string;
  publicKeys: string[];
}

export interface Registration {
  nodeId: string;
  status: string;
  /** Present only when the control plane issued a new one. */
  credential: string | undefined;
  management: Management | undefined;
  heartbeatIntervalSeconds: number;
}

export interface HeartbeatAnswer {
  status: string;
  heartbeatIntervalSeconds: number;
  management: Management | undefined;
  /** How long accounts may go on without an answer that lists them; 0 (also from a control plane that knows of none): for ever. */
  contactLimitSeconds: number;
  accounts: { username: string; remainingSeconds: number }[];
}

export interface LeaveAnswer {
  left: boolean;
  status: string;
  detail: string;
}

export interface RegisterBody {
  hostname: string;
  ssh_port: number;
  address?: string;
  host_key: string;
  join_token?: string;
  labels: Record<string, string>;
  facts: Facts;
}

/** Of the vitals only what is news. */
export interface HeartbeatBody extends Partial<Vitals> {
  /** Placements' accounts that exist here. */
  accounts: string[];
  /** Those of them that this node ended by itself, because their lease was over and the control plane out of reach. */
  ended_accounts: string[];
  ssh_port: number;
  host_key: string;
  /** The interval that this agent keeps to; sent by one that calls at once when an account comes. */
  interval_seconds?: number | undefined;
}

const MIN_INTERVAL_SECONDS = 0.2;
const MAX_INTERVAL_SECONDS = 3600;
const MAX_REMAINING_SECONDS = 10 * 365 * 86_400;
const MAX_CONTACT_LIMIT_SECONDS = 86_400;
const CREDENTIAL = /^[\x21-\x7e]{8,512}$/;

/** The parsers below throw for an answer that is not as agreed; what they return is safe to use, save for public keys. */
export function parseRegistration(body: unknown): Registration {
  const answer = asObject(body);
  const { credential, node_id: nodeId } = answer;
  if (typeof nodeId !== 'string' && typeof nodeId !== 'number') {
    throw new Error('the answer has no node_id');
  }
  if (credential !== undefined && credential !== null && !(typeof credential === 'string' && CREDENTIAL.test(credential))) {
    throw new Error('the answer has an unusable credential');
  }
  return {
    nodeId: String(nodeId),
    status: asText(answer, 'status'),
    credential: credential ?? undefined,
    management: parseManagement(answer.management),
    heartbeatIntervalSeconds: parseInterval(answer),
  };
}

export function parseHeartbeatAnswer(body: unknown): HeartbeatAnswer {
  const answer = asObject(body);
  const accounts = Array.isArray(answer.accounts) ? (answer.accounts as unknown[]) : [];
  return {
    status: asText(answer, 'status'),
    heartbeatIntervalSeconds: parseInterval(answer),
    management: parseManagement(answer.management),
    contactLimitSeconds: parseContactLimit(answer),
    accounts: accounts.map((item) => {
      const account = asObject(item);
      return { username: asText(account, 'username'), remainingSeconds: asNumber(account, 'remaining_seconds', MAX_REMAINING_SECONDS) };
    }),
  };
}

export function parseLeaveAnswer(body: unknown): LeaveAnswer {
  const answer = asObject(body);
  if (typeof answer.left !== 'boolean') {
    throw new Error('the answer does not say whether the node has left');
  }
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return { left: answer.left, status: text(answer.status), detail: text(answer.detail) };
}

/** `code` and `detail` of a problem document; empty where there is none. */
export function parseProblem(body: unknown): { code: string; detail: string } {
  const problem = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 500) : '');
  return { code: text(problem.code), detail: text(problem.detail) };
}

function parseManagement(value: unknown): Management | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const management = asObject(value);
  const keys = management.public_keys;
  if (!Array.isArray(keys) || !keys.every((key): key is string => typeof key === 'string')) {
    throw new Error('management.public_keys is no list of texts');
  }
  return { username: asText(management, 'username'), publicKeys: keys };
}

function parseInterval(answer: Record<string, unknown>): number {
  const seconds = asNumber(answer, 'heartbeat_interval_seconds', Number.MAX_SAFE_INTEGER);
  return Math.min(MAX_INTERVAL_SECONDS, Math.max(MIN_INTERVAL_SECONDS, seconds));
}

function parseContactLimit(answer: Record<string, unknown>): number {
  return answer.contact_limit_seconds === undefined ? 0 : Math.max(0, asNumber(answer, 'contact_limit_seconds', MAX_CONTACT_LIMIT_SECONDS));
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('the answer is not a JSON object');
  }
  return value as Record<string, unknown>;
}

function asText(object: Record<string, unknown>, name: string): string {
  const value = object[name];
  if (typeof value !== 'string') {
    throw new Error(`${name} is no text`);
  }
  return value;
}

function asNumber(object: Record<string, unknown>, name: string, limit: number): number {
  const value = object[name];
  if (typeof value !== 'number' || !(Math.abs(value) <= limit)) {
    throw new Error(`${name} is no usable number`);
  }
  return value;
}
