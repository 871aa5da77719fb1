import { randomBytes } from 'node:crypto';
import { authorizeCall } from '../lib/call-mac';
import { messageOf } from '../lib/errors';
import { type Answer, interpret, interpretSealed } from './answer';
import { type Call, enrol, type Proofs } from './enrol';
import type { HttpAnswer } from './http';
import {
  parseChallenge,
  parseHeartbeatAnswer,
  parseLeaveAnswer,
  type HeartbeatAnswer,
  type HeartbeatBody,
  type LeaveAnswer,
  type RegisterBody,
  type Registration,
} from './wire';

/** The control plane as an agent sees it. No method rejects, and none takes longer than the timeout of each of its calls. */
export interface ControlPlane {
  /** Without a credential it agrees on one, which `Registration` has then. */
  register(body: RegisterBody, credential: string | undefined, signal?: AbortSignal): Promise<Answer<Registration>>;
  heartbeat(body: HeartbeatBody, credential: string, options?: { signal?: AbortSignal; timeoutMs?: number }): Promise<Answer<HeartbeatAnswer>>;
  leave(credential: string, signal?: AbortSignal): Promise<Answer<LeaveAnswer>>;
  /** What the next call has to answer that must not be made twice. */
  challenge(signal?: AbortSignal): Promise<Answer<string>>;
}

export interface PostCall {
  /** From the control plane's root. */
  path: string;
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
  const send = ({ name, body, headers = {}, credential, nonce = '', signal, timeoutMs = options.timeoutMs ?? TIMEOUT_MS }: Call): Promise<HttpAnswer> => {
    const path = `/api/workers/${name}`;
    const authorization: Record<string, string> = credential === undefined ? {} : { authorization: authorizeCall(credential, { method: 'POST', path, nonce, body }) };
    return options.post({ path, body, headers: { ...headers, ...authorization }, timeoutMs, signal });
  };
  const challenge = (signal?: AbortSignal): Promise<Answer<string>> =>
    attempt(async () => {
      const answer = await send({ name: 'challenge', body: '{}', signal });
      return answer.status === 404 ? { kind: 'failed', reason: 'the control plane is of a release before this agent: bring it up to date first' } : interpret(answer, parseChallenge);
    });
  return {
    challenge,
    register: (body, credential, signal) => attempt(() => enrol({ send, challenge, proofs: options }, { body, credential, signal })),
    heartbeat: (body, credential, { signal, timeoutMs } = {}) =>
      attempt(async () => {
        const nonce = randomBytes(16).toString('base64url');
        const call = (text: string): Promise<HttpAnswer> => send({ name: 'heartbeat', body: text, credential, nonce, signal, timeoutMs });
        const { self } = body;
        // By the mark the control plane knows the machine at a new address.
        const answer = await (self ? options.mark.around((mark) => call(JSON.stringify({ ...body, self: { ...self, mark } }))) : call(JSON.stringify(body)));
        return interpretSealed(answer, { credential, nonce }, parseHeartbeatAnswer);
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
