import type { IncomingMessage } from 'node:http';
import { backoffSeconds } from '../lib/backoff';
import { createOrionClient, type OrionClient } from '../client';
import type { Clock } from '../lib/clock';
import { ApiError, CliError, NoAnswerError, type Problem } from './errors';
import { EXIT } from './exit-codes';
import { type HttpAnswer, type HttpClient, sendRequest, toResponse } from './http';

interface CallOptions {
  /** Marks a POST that changes nothing when it is repeated, even without an Idempotency-Key. */
  repeatable?: boolean;
  /** Default: 15 s. */
  timeoutMs?: number;
  /** Called before each repetition, with the reason and the number of the next attempt. */
  onRetry?: (reason: string, attempt: number) => void;
}

export interface ApiAnswer<T> {
  status: number;
  /** Undefined only where the contract has no body. */
  data: T;
  /** The JSON text as the server sent it. */
  text: string;
  /** The Idempotent-Replayed header: the answer of an earlier request with the same key. */
  replayed: boolean;
}

/** One typed call: `(orion) => orion['/api/me'].GET()`. */
type Work<T> = (orion: OrionClient) => Promise<{ data?: T | undefined }>;

export interface ApiClient {
  server: string;
  /**
   * Makes one call and returns the answer. When the connection breaks, the client sends the same request up to five times in all, with
   * backoff. It repeats only what is safe to repeat: GET, PATCH, DELETE, and a POST with an Idempotency-Key. Throws ApiError for an answer
   * that is not a success, and NoAnswerError if no answer arrived.
   */
  call<T>(work: Work<T>, options?: CallOptions): Promise<ApiAnswer<NonNullable<T>>>;
  /** Opens an event stream. Throws the errors of `call`, but never repeats the request. */
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
const PATHS_WITH_PASSWORDS = ['/api/login', '/api/signup', '/api/password'];
const BACKOFF = { firstSeconds: 0.5, maxSeconds: 5 };

export function createApiClient({ server, token, http, clock }: ApiDeps): ApiClient {
  const attempt = async <T>(
    work: Work<T>,
    { timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions,
    sent: Sent,
  ): Promise<ApiAnswer<NonNullable<T>>> => {
    const send = async (request: Request): Promise<Response> => {
      sent.request = request;
      if (token !== undefined || PATHS_WITH_PASSWORDS.includes(new URL(request.url).pathname)) {
        requireSecrecy(server);
      }
      sent.answer = checkAnswer(await sendRequest(http, request, timeoutMs).catch(noAnswerFrom(server)), server);
      return toResponse(sent.answer);
    };
    const { data } = await work(createOrionClient({ baseUrl: server, token, fetch: send }));
    const { status = 0, headers = {}, text = '' } = sent.answer ?? {};
    return { status, data: data as NonNullable<T>, text, replayed: headers['idempotent-replayed'] === 'true' };
  };
  return {
    server,
    call: async (work, options = {}) => {
      for (let tried = 1; ; tried += 1) {
        const sent: Sent = {};
        try {
          return await attempt(work, options, sent);
        } catch (error) {
          if (tried >= MAX_ATTEMPTS || !isRepeatable(sent.request, options) || !passes(error)) {
            throw inWords(error);
          }
          options.onRetry?.((error as Error).message, tried + 1);
          await clock.sleep(pauseSeconds(error, tried) * 1000);
        }
      }
    },
    openStream: async (path, signal) => {
      requireSecrecy(server);
      const headers: Record<string, string> = {
        accept: 'text/event-stream',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      };
      const response = await http
        .open({ method: 'GET', url: server + path, headers, timeoutMs: DEFAULT_TIMEOUT_MS }, signal)
        .catch(noAnswerFrom(server));
      if (response.statusCode !== 200) {
        response.destroy();
        throw new ApiError(response.statusCode ?? 0, {}, undefined);
      }
      // The server sends pings. Silence means that the server or the connection to it is lost.
      response.setTimeout(STREAM_SILENCE_MS, () => response.destroy(new Error('the stream fell silent')));
      return response;
    },
    close: () => http.close(),
  };
}

/** Throws for plain http to another machine, because anybody on the network path could read passwords and tokens. */
export function requireSecrecy(server: string): void {
  const { protocol, hostname } = new URL(server);
  if (protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) {
    throw new CliError(`${server} has no TLS: a password or a token would travel there in clear, and is not sent.`, {
      exitCode: EXIT.usage,
      hint: `Use https: orion login --server https://${hostname}   (ORION_CA_FILE names certificates to trust besides the usual ones)`,
    });
  }
}

/** The request and the answer of one attempt. */
interface Sent {
  request?: Request;
  answer?: HttpAnswer;
}

const noAnswerFrom =
  (server: string) =>
  (error: unknown): never => {
    throw error instanceof CliError ? error : new NoAnswerError(server, error);
  };

function isRepeatable(request: Request | undefined, { repeatable }: CallOptions): boolean {
  return request !== undefined && (request.method !== 'POST' || request.headers.has('idempotency-key') || repeatable === true);
}

/** Whether a proxy answered, and not Orion: a 502, 503 or 504 without JSON. */
function isFromNobody({ status, headers }: HttpAnswer): boolean {
  return [502, 503, 504].includes(status) && !(headers['content-type'] ?? '').includes('json');
}

/** Whether the same request may succeed a moment later. "No node free" is not repeated: the user decides whether to wait for a node. */
function passes(error: unknown): boolean {
  return error instanceof NoAnswerError
    ? !isCertificateFault(error.cause)
    : error instanceof ApiError && error.problem.code === 'unavailable';
}

/** Whether the server's certificate is the cause. A repeated request does not help then. */
export function isCertificateFault(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|ERR_TLS/.test(code);
}

function pauseSeconds(error: unknown, attempt: number): number {
  const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) : 0;
  return Math.min(10, Math.max(asked, backoffSeconds(BACKOFF, attempt, Math.random())));
}

/** Returns the answer if it is a success, and throws for any other. */
function checkAnswer(answer: HttpAnswer, server: string): HttpAnswer {
  const { status, headers, text } = answer;
  if (isFromNobody(answer)) {
    throw new NoAnswerError(server, new Error(`a proxy answered with status ${status}`));
  }
  if (status >= 300 && status < 400) {
    throw new CliError(`The server redirects to ${headers.location ?? 'somewhere else'}.`, {
      exitCode: EXIT.usage,
      hint: 'Use that address: orion login --server URL',
    });
  }
  if (status < 200 || status >= 400) {
    const retryAfter = headers['retry-after'] ?? '';
    throw new ApiError(status, parseProblem(text), /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined);
  }
  return answer;
}

/** Turns the error that openapi-fetch throws for a body that is not JSON into one for users. */
const inWords = (error: unknown): unknown =>
  error instanceof SyntaxError
    ? new CliError('The server did not answer with JSON.', { hint: 'Is that an Orion server? Check with: orion doctor', cause: error })
    : error;

function parseProblem(text: string): Problem {
  try {
    const value: unknown = JSON.parse(text);
    const fields = Object.entries(typeof value === 'object' && value !== null ? value : {});
    return Object.fromEntries(fields.filter(([, field]) => typeof field === 'string'));
  } catch {
    return {};
  }
}
