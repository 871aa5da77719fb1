import { isSealed } from '../lib/call-mac';
import { messageOf } from '../lib/errors';
import type { HttpAnswer } from './http';
import { parseProblem } from './wire';

/** What came of a call. `failed`: no answer, or one that makes no sense, or one that anybody could have given. */
export type Answer<T> =
  | { kind: 'ok'; value: T }
  | { kind: 'refused'; status: number; code: string; detail: string; retryAfterSeconds: number | undefined }
  | { kind: 'failed'; reason: string };

/** Something is done about a success, about being retired and about being a copy of another machine. Of any other answer nothing follows but another try. */
const isDecisive = ({ status, text }: HttpAnswer): boolean => (status >= 200 && status <= 299) || status === 410 || parseProblem(parseJson(text)).code === 'host_key_in_use';

/** The same as `interpret`, but a decisive answer counts only when it is from who holds the node's key: anybody on the way can write one. */
export function interpretSealed<T>(answer: HttpAnswer, { credential, nonce }: { credential: string; nonce: string }, parse: (body: unknown) => T): Answer<T> {
  const { status, text, seal } = answer;
  if (isDecisive(answer) && !isSealed(credential, { nonce, status, text }, seal ?? '')) {
    return { kind: 'failed', reason: `an answer with status ${status} does not come from this node's control plane (its Orion-MAC is ${seal === undefined ? 'missing' : 'wrong'})` };
  }
  return interpret(answer, parse);
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
