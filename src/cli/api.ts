import type { IncomingMessage } from 'node:http';
import { backoffSeconds } from '../lib/backoff';
import type { Clock } from '../lib/clock';
import { ApiError, CliError, NoAnswerError, type Problem } from './errors';
import { EXIT } from './exit-codes';
import type { HttpAnswer, HttpClient } from './http';

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below the server's URL, with its query: `/api/leases?running=true`. */
  path: string;
  body?: Record<string, unknown>;
  /** Makes a POST safe to repeat. */
  idempotencyKey?: string;
  /** A POST that changes nothing when it is repeated, even without a key. */
  repeatable?: boolean;
  /** Default 15 s. */
  timeoutMs?: number;
  /** Told before each repetition. */
  onRetry?: (reason: string, attempt: number) => void;
}

export interface ApiAnswer {
  status: number;
  /** The JSON as it came; undefined when there was no body. */
  body: unknown;
  text: string;
  /** The Idempotent-Replayed header: the answer of an earlier request with the same key. */
  replayed: boolean;
}

export interface ApiClient {
  server: string;
  /**
   * Asks, and repeats what is safe to repeat (GET, PATCH, DELETE, a POST with a key) when the connection breaks, with the same key, a few times
   * with backoff. Throws ApiError for any answer that is no success, NoAnswerError when there was none.
   */
  call(request: ApiRequest): Promise<ApiAnswer>;
  /** Opens an event stream. Throws as `call` does, but never repeats. */
  openStream(path: string, signal?: AbortSignal): Promise<IncomingMessage>;
  close(): void;
}

export interface ApiDeps {
  server: string;
  token: string | undefined;
  http: HttpClient;
  clock: Clock;
}

export const MAX_ATTEMPTS = 5;
const STREAM_SILENCE_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 15_000;
const BACKOFF = { firstSeconds: 0.5, maxSeconds: 5 };

export function createApiClient({ server, token, http, clock }: ApiDeps): ApiClient {
  const headers: Record<string, string> = { accept: 'application/json, application/problem+json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const ask = async (request: ApiRequest): Promise<HttpAnswer> => {
    const { method, path, body, idempotencyKey, timeoutMs = DEFAULT_TIMEOUT_MS } = request;
    const key: Record<string, string> = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
    const text = body === undefined ? undefined : JSON.stringify(body);
    if (token !== undefined || (body && 'password' in body)) {
      requireSecrecy(server);
    }
    try {
      const answer = await http.send({ method, url: server + path, headers: { ...headers, ...key }, body: text, timeoutMs });
      if (isFromNobody(answer)) {
        throw new Error(`a proxy answered with status ${answer.status}`);
      }
      return answer;
    } catch (error) {
      throw error instanceof CliError ? error : new NoAnswerError(server, error);
    }
  };
  return {
    server,
    call: async (request) => {
      const attempts = isRepeatable(request) ? MAX_ATTEMPTS : 1;
      for (let attempt = 1; ; attempt += 1) {
        try {
          return toAnswer(await ask(request));
        } catch (error) {
          if (attempt >= attempts || !passes(error)) {
            throw error;
          }
          request.onRetry?.((error as Error).message, attempt + 1);
          await clock.sleep(pauseSeconds(error, attempt) * 1000);
        }
      }
    },
    openStream: async (path, signal) => {
      requireSecrecy(server);
      const request = { method: 'GET', url: server + path, headers: { ...headers, accept: 'text/event-stream' }, timeoutMs: DEFAULT_TIMEOUT_MS };
      const response = await http.open(request, signal).catch((error: unknown) => Promise.reject(error instanceof CliError ? error : new NoAnswerError(server, error)));
      if (response.statusCode !== 200) {
        response.destroy();
        throw new ApiError(response.statusCode ?? 0, {}, undefined);
      }
      // The server pings; silence means that it, or the way to it, is gone.
      response.setTimeout(STREAM_SILENCE_MS, () => response.destroy(new Error('the stream fell silent')));
      return response;
    },
    close: () => http.close(),
  };
}

/** Throws for plain http to another machine: whoever is on the way would read what is secret. */
export function requireSecrecy(server: string): void {
  const { protocol, hostname } = new URL(server);
  if (protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) {
    throw new CliError(`${server} has no TLS: a password or a token would travel there in clear, and is not sent.`, {
      exitCode: EXIT.usage,
      hint: `Use https: orion login --server https://${hostname}   (ORION_CA_FILE names certificates to trust besides the usual ones)`,
    });
  }
}

function isRepeatable({ method, idempotencyKey, repeatable }: ApiRequest): boolean {
  return method !== 'POST' || idempotencyKey !== undefined || repeatable === true;
}

/** A gateway's answer, not Orion's: nobody behind it spoke. */
function isFromNobody({ status, headers }: HttpAnswer): boolean {
  return [502, 503, 504].includes(status) && !(headers['content-type'] ?? '').includes('json');
}

/** Whether the same request may go through a moment later. "No node free" is an answer: the user decides whether to wait for one. */
function passes(error: unknown): boolean {
  return error instanceof NoAnswerError ? !isCertificateFault(error.cause) : error instanceof ApiError && error.problem.code === 'unavailable';
}

/** A certificate that is not trusted stays so. */
export function isCertificateFault(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|ERR_TLS/.test(code);
}

function pauseSeconds(error: unknown, attempt: number): number {
  const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) : 0;
  return Math.min(10, Math.max(asked, backoffSeconds(BACKOFF, attempt, Math.random())));
}

function toAnswer({ status, headers, text }: HttpAnswer): ApiAnswer {
  if (status >= 300 && status < 400) {
    throw new CliError(`The server redirects to ${headers.location ?? 'somewhere else'}.`, { exitCode: EXIT.usage, hint: 'Use that address: orion login --server URL' });
  }
  if (status < 200 || status >= 400) {
    const retryAfter = headers['retry-after'] ?? '';
    throw new ApiError(status, parseProblem(text), /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined);
  }
  return { status, text, body: text === '' ? undefined : parseBody(text), replayed: headers['idempotent-replayed'] === 'true' };
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError('The server did not answer with JSON.', { hint: 'Is that an Orion server? Check with: orion doctor', cause: error });
  }
}

function parseProblem(text: string): Problem {
  try {
    const value: unknown = JSON.parse(text);
    const fields = Object.entries(typeof value === 'object' && value !== null ? value : {});
    return Object.fromEntries(fields.filter(([, field]) => typeof field === 'string'));
  } catch {
    return {};
  }
}
