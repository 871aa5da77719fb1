import { isSealed } from '../lib/call-mac';
import { messageOf } from '../lib/errors';
import type { HttpAnswer } from './http';
import { parseProblem } from './wire';

/** The outcome of a call. `failed`: no answer came, the answer makes no sense, or the answer is not authenticated. */
export type Answer<T> =
  | { kind: 'ok'; value: T }
  | { kind: 'refused'; status: number; code: string; detail: string; retryAfterSeconds: number | undefined }
  | { kind: 'failed'; reason: string };

/**
 * Whether the agent acts on an answer: success, "node retired" (410), or "copy of another machine". After any other answer it only tries
 * again.
 */
const isDecisive = ({ status, text }: HttpAnswer): boolean =>
  (status >= 200 && status <= 299) || status === 410 || parseProblem(parseJson(text)).code === 'host_key_in_use';

/**
 * Like `interpret`, but a decisive answer must carry a MAC made with the node's credential. Without the MAC, anybody on the network path
 * could forge the answer.
 */
export function interpretSealed<T>(
  answer: HttpAnswer,
  { credential, nonce }: { credential: string; nonce: string },
  parse: (body: unknown) => T,
): Answer<T> {
  const { status, text, seal } = answer;
  if (isDecisive(answer) && !isSealed(credential, { nonce, status, text }, seal ?? '')) {
    return {
      kind: 'failed',
      reason: `an answer with status ${status} does not come from this node's control plane (its Orion-MAC is ${seal === undefined ? 'missing' : 'wrong'})`,
    };
  }
  return interpret(answer, parse);
}

/** Interprets an HTTP answer. A 2xx body must parse. A redirect is a failure and is not followed. Any other status is a refusal. */
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
