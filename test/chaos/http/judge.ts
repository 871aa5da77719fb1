import type { HttpAnswer } from './client';
import type { Planned } from './requests';

export interface Judgement {
  /** The one 5xx that is an answer: no node is free. */
  noNodeFree: boolean;
  /** Each a promise that was broken. */
  objections: string[];
}

/** A body as the API reads it: nothing is the same as an empty object. Undefined: no JSON. */
function read(body: string): unknown {
  try {
    return JSON.parse(body.replace(/^\ufeff/, '') || '{}');
  } catch {
    return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Holds an answer against what is promised for every request, and what the document says of this one. */
export function judge({ operation, request, caller, plainJson }: Planned, { status, headers, text }: HttpAnswer): Judgement {
  const json = parse(text) as { code?: unknown; status?: unknown; request_id?: unknown } | undefined;
  const type = headers['content-type'] ?? '';
  const objections: string[] = [];
  const noNodeFree = status === 503 && json?.code === 'no_node_free';
  if (status >= 500 && !noNodeFree) {
    objections.push(`answered ${status}`);
  }
  const requestId = headers['x-request-id'];
  if (requestId === undefined || requestId === request.headers?.['X-Request-Id']) {
    objections.push(`has the request id ${String(requestId)}`);
  }
  const streams = type.startsWith('text/event-stream');
  if (status >= 400 && (!type.startsWith('application/problem+json') || json?.status !== status || json.request_id !== requestId)) {
    objections.push(`is no problem document: ${type}`);
  }
  // A path that was bent may be another route's, or none.
  const elsewhere = status === 404 && json?.code === 'not_found';
  const objection = streams || elsewhere ? undefined : operation.objection(status, text === '' ? undefined : json);
  if (objection !== undefined && !(status === 204 && text === '')) {
    objections.push(`is not what the document says: ${objection}`);
  }
  const body = typeof request.body === 'string' ? request.body : undefined;
  if (status < 400 && operation.body && plainJson && !operation.allows(read(body ?? ''))) {
    objections.push('was taken, and the document forbids its body');
  }
  const stranger = caller === 'nobody' || caller === 'garbage' || (operation.access === 'user') === (caller === 'worker');
  if (status < 400 && operation.access !== 'public' && stranger) {
    objections.push(`let in ${caller}`);
  }
  return { noNodeFree, objections };
}
