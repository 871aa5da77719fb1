import type { IncomingMessage, ServerResponse } from 'node:http';
import { MAC_HEADER, type Seal } from '../lib/call-mac';
import type { Origin } from '../lib/origin';
import type { Principal } from '../modules/accounts';
import type { NodeCaller } from './node-caller';

/** Data that is collected while a call is handled. It is `res.locals`, in Express and on the fast path. */
export interface CallLocals {
  requestId: string;
  /** Undefined: the handler has not begun. */
  origin?: Origin | null;
  /** The user who calls. */
  principal?: Principal;
  /** The node whose agent calls. */
  caller?: NodeCaller;
  /** Authenticates the answer to the agent that made the call. */
  seal?: Seal | undefined;
}

/** A request as handlers see it. `ip` is the caller's address, behind the trusted proxies; `body` is not validated. */
export type CallRequest = IncomingMessage & { readonly ip?: string | undefined; body?: unknown };

export type CallResponse = ServerResponse & { locals: CallLocals };

/** An answer as it is sent. */
export interface Answer {
  status: number;
  body?: object | undefined;
  headers?: Record<string, string>;
  /** Default: the seal of the call. */
  seal?: Seal | undefined;
}

/** Sends an answer, unless the handler has sent one by itself. `first`: names and values of headers that are not on the response yet. */
export function sendAnswer(
  res: CallResponse,
  { status, body, headers = {}, seal = res.locals.seal }: Answer,
  first: readonly string[] = [],
): void {
  if (res.headersSent) {
    return;
  }
  const all = [...first, ...Object.entries(headers).flat()];
  if (body === undefined) {
    res.writeHead(status, all).end();
    return;
  }
  const text = JSON.stringify(body);
  all.push('Content-Type', 'application/json; charset=utf-8', 'Content-Length', String(Buffer.byteLength(text)));
  if (seal) {
    all.push(MAC_HEADER, seal(status, text));
  }
  res.writeHead(status, all).end(text);
}
