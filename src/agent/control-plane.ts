import { messageOf } from '../lib/errors';
import { postJson, type HttpAnswer } from './http';
import {
  parseHeartbeatAnswer,
  parseLeaveAnswer,
  parseProblem,
  parseRegistration,
  type HeartbeatAnswer,
  type HeartbeatBody,
  type LeaveAnswer,
  type RegisterBody,
  type Registration,
} from './wire';

/** What came of a call. `failed`: no answer, or one that makes no sense. */
export type Answer<T> =
  | { kind: 'ok'; value: T }
  | { kind: 'refused'; status: number; code: string; detail: string; retryAfterSeconds: number | undefined }
  | { kind: 'failed'; reason: string };

/** The control plane as an agent sees it. No method rejects, and none takes longer than the timeout. */
export interface ControlPlane {
  register(body: RegisterBody, credential: string | undefined, signal?: AbortSignal): Promise<Answer<Registration>>;
  heartbeat(body: HeartbeatBody, credential: string, options?: { signal?: AbortSignal; timeoutMs?: number }): Promise<Answer<HeartbeatAnswer>>;
  leave(credential: string, signal?: AbortSignal): Promise<Answer<LeaveAnswer>>;
}

export interface ControlPlaneOptions {
  endpoint: string;
  /** PEM. */
  ca?: string;
  timeoutMs?: number;
  maxBytes?: number;
}

interface Call<T> {
  path: string;
  body: unknown;
  credential: string | undefined;
  signal: AbortSignal | undefined;
  /** Default: that of the control plane. */
  timeoutMs?: number | undefined;
  parse: (body: unknown) => T;
}

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 256 * 1024;

export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { endpoint, ca, maxBytes = MAX_BYTES } = options;
  const call = async <T>({ path, body, credential, signal, parse, timeoutMs = options.timeoutMs ?? TIMEOUT_MS }: Call<T>): Promise<Answer<T>> => {
    try {
      const answer = await postJson(`${endpoint}/api/workers/${path}`, { body, credential, ca, timeoutMs, maxBytes, signal });
      return interpret(answer, parse);
    } catch (error) {
      return { kind: 'failed', reason: messageOf(error) || 'no connection' };
    }
  };
  return {
    register: (body, credential, signal) => call({ path: 'register', body, credential, signal, parse: parseRegistration }),
    heartbeat: (body, credential, { signal, timeoutMs } = {}) => call({ path: 'heartbeat', body, credential, signal, timeoutMs, parse: parseHeartbeatAnswer }),
    leave: (credential, signal) => call({ path: 'leave', body: {}, credential, signal, parse: parseLeaveAnswer }),
  };
}

/** The meaning of an HTTP answer: 2xx must parse, a redirect is not followed, anything else is a refusal. */
export function interpret<T>(answer: HttpAnswer, parse: (body: unknown) => T): Answer<T> {
  const { status, retryAfterSeconds } = answer;
  if (status >= 300 && status < 400) {
    const target = answer.location === undefined ? '' : ` to ${answer.location.slice(0, 200)}`;
    return { kind: 'failed', reason: `redirected${target}: set API_ENDPOINT to the control plane itself` };
  }
  if (status < 200 || status > 299) {
    return { kind: 'refused', status, ...parseProblem(parseJson(answer.text)), retryAfterSeconds };
  }
  try {
    return { kind: 'ok', value: parse(parseJson(answer.text)) };
  } catch (error) {
    return { kind: 'failed', reason: messageOf(error) };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
