import { randomBytes } from 'node:crypto';
import { authorizeCall } from '../lib/call-mac';
import { messageOf } from '../lib/errors';
import { type Answer, interpret, interpretSealed } from './answer';
import { type Call, enrol, type Proofs } from './enrol';
import type { HttpAnswer } from './http';
import {
  parseAuditProof,
  parseChallenge,
  parseHeartbeatAnswer,
  parseLeaveAnswer,
  type HeartbeatAnswer,
  type HeartbeatBody,
  type LeaveAnswer,
  type RegisterBody,
  type Registration,
} from './wire';

/** The agent's client of the control plane. No method rejects, and no HTTP call of a method takes longer than its timeout. */
export interface ControlPlane {
  /** Registers this machine. Without a credential, the two sides agree on a new one; `Registration` then contains it. */
  register(body: RegisterBody, credential: string | undefined, signal?: AbortSignal): Promise<Answer<Registration>>;
  heartbeat(
    body: HeartbeatBody,
    credential: string,
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ): Promise<Answer<HeartbeatAnswer>>;
  leave(credential: string, signal?: AbortSignal): Promise<Answer<LeaveAnswer>>;
  /** Requests the proof that the audit log of `to` entries continues the one of `from` entries. */
  proveAudit(sizes: { from: number; to: number }, credential: string, signal?: AbortSignal): Promise<Answer<Buffer[]>>;
  /** Requests a challenge. A call that must not be replayed contains it. */
  challenge(signal?: AbortSignal): Promise<Answer<string>>;
}

export interface PostCall {
  /** Path relative to the control plane's root URL. */
  path: string;
  /** Default: POST. */
  method?: 'GET' | undefined;
  body: string;
  headers: Record<string, string>;
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

export type Post = (call: PostCall) => Promise<HttpAnswer>;

export interface ControlPlaneOptions extends Proofs {
  post: Post;
  timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const send = ({
    name,
    method,
    body,
    headers = {},
    credential,
    nonce = '',
    signal,
    timeoutMs = options.timeoutMs ?? TIMEOUT_MS,
  }: Call): Promise<HttpAnswer> => {
    const path = `/api/workers/${name}`;
    const authorization: Record<string, string> =
      credential === undefined ? {} : { authorization: authorizeCall(credential, { method: method ?? 'POST', path, nonce, body }) };
    return options.post({ path, method, body, headers: { ...headers, ...authorization }, timeoutMs, signal });
  };
  const challenge = (signal?: AbortSignal): Promise<Answer<string>> =>
    attempt(async () => {
      const answer = await send({ name: 'challenge', body: '{}', signal });
      return answer.status === 404
        ? { kind: 'failed', reason: 'the control plane is of a release before this agent: bring it up to date first' }
        : interpret(answer, parseChallenge);
    });
  return {
    challenge,
    register: (body, credential, signal) => attempt(() => enrol({ send, challenge, proofs: options }, { body, credential, signal })),
    heartbeat: (body, credential, { signal, timeoutMs } = {}) =>
      attempt(async () => {
        const nonce = randomBytes(16).toString('base64url');
        const call = (text: string): Promise<HttpAnswer> => send({ name: 'heartbeat', body: text, credential, nonce, signal, timeoutMs });
        const { self } = body;
        // The control plane reads the mark over SSH, and so recognises this machine at a new address.
        const answer = await (self
          ? options.mark.around((mark) => call(JSON.stringify({ ...body, self: { ...self, mark } })))
          : call(JSON.stringify(body)));
        return interpretSealed(answer, { credential, nonce }, parseHeartbeatAnswer);
      }),
    proveAudit: ({ from, to }, credential, signal) =>
      attempt(async () => {
        const nonce = randomBytes(16).toString('base64url');
        const answer = await send({ name: `audit/consistency?from=${from}&to=${to}`, method: 'GET', body: '', credential, nonce, signal });
        return interpretSealed(answer, { credential, nonce }, parseAuditProof);
      }),
    leave: (credential, signal) =>
      attempt(async () => {
        const nonce = await challenge(signal);
        if (nonce.kind !== 'ok') {
          return nonce;
        }
        const answer = await send({ name: 'leave', body: '{}', credential, nonce: nonce.value, signal });
        return interpretSealed(answer, { credential, nonce: nonce.value }, parseLeaveAnswer);
      }),
  };
}

async function attempt<T>(work: () => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await work();
  } catch (error) {
    return { kind: 'failed', reason: messageOf(error) || 'no connection' };
  }
}
