import type { HeartbeatRequest, RegisterRequest } from '../contract';
import type { SignedText } from '../lib/control-key';
import type { Facts } from './facts';

/** The account as which the control plane logs in to this node, and its SSH keys. The keys are not validated yet. */
export interface Management {
  username: string;
  publicKeys: string[];
}

/** The keys of a control plane, as it sent them. Nothing of them is verified yet. */
export interface ControlOffer {
  /** `ssh-ed25519 base64`. */
  controlKey: string;
  /** The management statement: the list of keys that may log in to this node. See parseStatement. */
  statement: SignedText;
  /** Statements in which earlier control keys (`by`) name the present key as their successor. */
  successors: (SignedText & { by: string })[];
}

export interface Registration {
  nodeId: string;
  status: string;
  /** Present only when a new credential was agreed on. */
  credential: string | undefined;
  serverKey: string | undefined;
  signature: string | undefined;
  /** Undefined when the control plane signs nothing. */
  offer: ControlOffer | undefined;
  heartbeatIntervalSeconds: number;
}

export interface HeartbeatAnswer {
  status: string;
  heartbeatIntervalSeconds: number;
  offer: ControlOffer | undefined;
  /**
   * Lease timeout: seconds that an account may go on without an answer that lists it. 0: no limit; a control plane without this field
   * counts as 0.
   */
  contactLimitSeconds: number;
  accounts: { username: string; remainingSeconds: number }[];
  /**
   * Whether the control plane accepted the reported change of the machine. Undefined when the heartbeat reported none, or the control plane
   * did not check it.
   */
  selfAccepted: boolean | undefined;
  /** Undefined: not asked for, or the machine has it. */
  audit: AuditOffer | undefined;
}

/** The newest head of the audit log, and the key that signed it. Nothing of them is verified yet. */
export interface AuditOffer {
  note: string;
  key: string;
}

export interface LeaveAnswer {
  left: boolean;
  status: string;
  detail: string;
}

/** The part of the contract's request that this agent sends. */
export type RegisterBody = RegisterRequest & { labels: Record<string, string>; facts: Facts };

/** The properties of a machine that may change while its agent runs. */
export type SelfReport = Pick<RegisterBody, 'hostname' | 'ssh_port' | 'address' | 'labels' | 'facts'>;

/** Contains only changed vitals, and `self` only when the machine changed. */
export type HeartbeatBody = HeartbeatRequest & {
  /** Names of the placement accounts that exist here. */
  accounts: string[];
  self?: SelfReport | undefined;
};

/** A proof has at most two hashes for each doubling of the log. */
const MAX_PROOF = 128;
const MIN_INTERVAL_SECONDS = 0.2;
const MAX_INTERVAL_SECONDS = 3600;
const MAX_REMAINING_SECONDS = 10 * 365 * 86_400;
const MAX_CONTACT_LIMIT_SECONDS = 86_400;

/** The parsers below throw for an answer that violates the contract. Their results are safe to use, except for public keys. */
export function parseRegistration(body: unknown): Registration {
  const answer = asObject(body);
  const { node_id: nodeId } = answer;
  if (typeof nodeId !== 'string' && typeof nodeId !== 'number') {
    throw new Error('the answer has no node_id');
  }
  return {
    nodeId: String(nodeId),
    status: asText(answer, 'status'),
    credential: undefined,
    serverKey: optionalText(answer.server_key),
    signature: optionalText(answer.signature),
    offer: parseOffer(answer.management),
    heartbeatIntervalSeconds: parseInterval(answer),
  };
}

export function parseHeartbeatAnswer(body: unknown): HeartbeatAnswer {
  const answer = asObject(body);
  const accounts = Array.isArray(answer.accounts) ? (answer.accounts as unknown[]) : [];
  return {
    status: asText(answer, 'status'),
    heartbeatIntervalSeconds: parseInterval(answer),
    offer: parseOffer(answer.management),
    contactLimitSeconds: parseContactLimit(answer),
    selfAccepted: typeof answer.self_accepted === 'boolean' ? answer.self_accepted : undefined,
    audit: parseAuditOffer(answer.audit_head),
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

/** Returns `code` and `detail` of a problem document; both are empty where there is none. */
export function parseProblem(body: unknown): { code: string; detail: string } {
  const problem = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 500) : '');
  return { code: text(problem.code), detail: text(problem.detail) };
}

/** Parses a signed statement; its signature must already be verified. Throws for any other text. */
export function parseStatement(text: string): { management: Management; serial: number } {
  const statement = asObject(JSON.parse(text) as unknown);
  const keys = statement.public_keys;
  if (!Array.isArray(keys) || !keys.every((key): key is string => typeof key === 'string')) {
    throw new Error('public_keys is no list of texts');
  }
  return {
    management: { username: asText(statement, 'username'), publicKeys: keys },
    serial: asNumber(statement, 'serial', Number.MAX_SAFE_INTEGER),
  };
}

export const parseChallenge = (body: unknown): string => asText(asObject(body), 'challenge');

/** Undefined where nothing is signed: the agent ignores unsigned keys. */
function parseOffer(value: unknown): ControlOffer | undefined {
  const {
    statement,
    control_key: controlKey,
    successors,
  } = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  if (statement === undefined || typeof controlKey !== 'string') {
    return undefined;
  }
  const named = Array.isArray(successors) ? (successors as unknown[]) : [];
  return {
    controlKey,
    statement: parseSigned(statement),
    successors: named.map((item) => ({ ...parseSigned(item), by: asText(asObject(item), 'by') })),
  };
}

function parseSigned(value: unknown): SignedText {
  const signed = asObject(value);
  return { text: asText(signed, 'text'), signature: asText(signed, 'signature') };
}

export function parseAuditProof(body: unknown): Buffer[] {
  const { proof } = asObject(body);
  if (!Array.isArray(proof) || proof.length > MAX_PROOF || !proof.every((hash): hash is string => typeof hash === 'string')) {
    throw new Error('the proof is no list of hashes');
  }
  return proof.map((hash) => Buffer.from(hash, 'base64'));
}

function parseAuditOffer(value: unknown): AuditOffer | undefined {
  const { note, key } = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  return typeof note === 'string' && typeof key === 'string' ? { note, key } : undefined;
}

const optionalText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

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
