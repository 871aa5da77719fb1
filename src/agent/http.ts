import { request as plainRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { MAC_HEADER } from '../lib/call-mac';
import { withDeadline } from '../lib/clock';
import { messageOf } from '../lib/errors';
import { connectThrough, nameOfProxy } from './proxy';

export interface PostOptions {
  /** Default: POST. A GET has no body. */
  method?: 'GET' | undefined;
  body: string;
  headers: Record<string, string>;
  /** PEM certificates trusted in addition to Node's own; https only. */
  ca?: string;
  /** URL of the proxy to go through. */
  proxy?: string | undefined;
  /** Covers everything from connecting to the last byte of the answer. */
  timeoutMs: number;
  maxBytes: number;
  signal?: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  /** Seconds from Retry-After; only the delta form is parsed. */
  retryAfterSeconds: number | undefined;
  location: string | undefined;
  /** The Orion-MAC header, which proves that the answer is from the control plane. */
  seal: string | undefined;
  /** The Date header. */
  date?: string | undefined;
  text: string;
}

/**
 * Sends one JSON POST, or a GET, on a connection of its own. Heartbeats are rarer than the idle timeout of servers, and a new connection
 * reaches a replica that is alive. Follows no redirect. Rejects when the answer is incomplete at the timeout, or larger than `maxBytes`.
 */
export async function postJson(url: string, options: PostOptions): Promise<HttpAnswer> {
  const send = url.startsWith('https:') ? await secureRequest(options.ca) : plainRequest;
  try {
    return await withDeadline(options.timeoutMs, (signal) => exchange(send, url, { ...options, signal }), options.signal);
  } catch (error) {
    throw options.proxy === undefined ? error : new Error(`the proxy ${nameOfProxy(options.proxy)}: ${messageOf(error)}`, { cause: error });
  }
}

type Send = (url: string, options: RequestOptions, onResponse: (response: IncomingMessage) => void) => ReturnType<typeof plainRequest>;

// Loaded only when needed: TLS costs megabytes, and the agent's process must stay small.
async function secureRequest(ca: string | undefined): Promise<Send> {
  const [{ request }, { rootCertificates }] = await Promise.all([import('node:https'), import('node:tls')]);
  const trust = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
  return (url, options, onResponse) => request(url, { ...options, ...trust }, onResponse);
}

function exchange(send: Send, url: string, options: PostOptions): Promise<HttpAnswer> {
  const { body, proxy, ca } = options;
  const way = proxy === undefined ? { agent: false as const } : { createConnection: connectThrough({ proxy, url, ca }) };
  const headers = {
    ...options.headers,
    ...(options.method === undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    accept: 'application/json, application/problem+json',
  };
  return new Promise((resolve, reject) => {
    const request = send(url, { method: options.method ?? 'POST', headers, ...way, signal: options.signal }, (response) => {
      collect(response, options.maxBytes).then(resolve, (error: unknown) => {
        request.destroy();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function collect(response: IncomingMessage, maxBytes: number): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new Error(`the answer is larger than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  const retryAfter = response.headers['retry-after'] ?? '';
  return {
    status: response.statusCode ?? 0,
    retryAfterSeconds: /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined,
    location: response.headers.location,
    seal: [response.headers[MAC_HEADER.toLowerCase()]].flat()[0],
    date: response.headers.date,
    text: Buffer.concat(chunks).toString('utf8'),
  };
}
