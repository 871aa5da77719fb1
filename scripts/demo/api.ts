import { createHttpClient, sendRequest, toResponse } from '../../src/cli/http';
import { callAny } from '../../test/lab';

export interface Answer<T> {
  status: number;
  body: T;
  header(name: string): string | undefined;
}

export interface Call {
  body?: object;
  headers?: Record<string, string>;
}

/** A caller of the API. Answers of any status are answers; only a broken connection rejects. */
export interface Client {
  get<T>(path: string): Promise<Answer<T>>;
  post<T>(path: string, body: object, headers?: Record<string, string>): Promise<Answer<T>>;
  /** The same with an access token. */
  as(token: string): Client;
}

const ANSWER_LIMIT_MS = 60_000;

/** Undefined for what is no JSON, such as a page for people. */
function parseJson(response: Response, text: unknown): unknown {
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return isJson && typeof text === 'string' && text !== '' ? (JSON.parse(text) as unknown) : undefined;
}

/** @param ca the certificate to trust; each call uses a connection of its own, as if it came from another program */
export function createClient(url: string, { ca, token }: { ca?: string; token?: string } = {}): Client {
  const call = async <T>(method: string, path: string, { body, headers = {} }: Call = {}): Promise<Answer<T>> => {
    const http = createHttpClient(() => Promise.resolve(ca));
    const fetch = async (request: Request): Promise<Response> => toResponse(await sendRequest(http, request, ANSWER_LIMIT_MS));
    const { data, error, response } = await callAny(
      { baseUrl: url, token, fetch },
      { method, path },
      { body, headers, parseAs: 'text' },
    ).finally(() => http.close());
    return {
      status: response.status,
      body: (response.ok ? parseJson(response, data) : error) as T,
      header: (name) => response.headers.get(name) ?? undefined,
    };
  };
  return {
    get: (path) => call('GET', path),
    post: (path, body, headers = {}) => call('POST', path, { body, headers }),
    as: (other) => createClient(url, { ca, token: other }),
  };
}

/** The body of an answer that has to have this status; throws with the whole answer otherwise. */
export function expectStatus<T>(answer: Answer<T>, status: number): T {
  if (answer.status !== status) {
    throw new Error(`the API answered ${answer.status} instead of ${status}: ${JSON.stringify(answer.body)}`);
  }
  return answer.body;
}
