import { callAny } from '../lab';
import { checkAnswer } from './check-answer';

export interface Answer<T> {
  status: number;
  body: T;
  headers: Headers;
}

/** Typed calls to one replica of the API. An answer of any status resolves; only a broken connection rejects. */
export interface ApiClient {
  /** `http://127.0.0.1:port` of the replica. */
  url: string;
  get<T>(path: string): Promise<Answer<T>>;
  post<T>(path: string, body: object, headers?: Record<string, string>): Promise<Answer<T>>;
  patch<T>(path: string, body: object): Promise<Answer<T>>;
  delete(path: string): Promise<Answer<unknown>>;
  /** Returns a client with the same token for another replica. */
  at(url: string): ApiClient;
}

const ANSWER_LIMIT_MS = 90_000;

/** @param token access token; without it only public routes answer */
export function createApiClient(url: string, token?: string): ApiClient {
  const call = async <T>(
    method: string,
    path: string,
    { body, headers = {} }: { body?: object; headers?: Record<string, string> } = {},
  ): Promise<Answer<T>> => {
    const { data, error, response } = await callAny(
      { baseUrl: url, token },
      { method, path },
      { body, headers, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) },
    );
    const answer = response.ok ? data : error;
    checkAnswer({ method, path, status: response.status, body: answer });
    return { status: response.status, headers: response.headers, body: answer as T };
  };
  return {
    url,
    get: (path) => call('GET', path),
    post: (path, body, headers = {}) => call('POST', path, { body, headers }),
    patch: (path, body) => call('PATCH', path, { body }),
    delete: (path) => call('DELETE', path),
    at: (other) => createApiClient(other, token),
  };
}

/** Returns the body of an answer that must have one of these statuses. Throws with the complete answer otherwise. */
export function expectStatus<T>(answer: Answer<T>, ...statuses: number[]): T {
  if (!statuses.includes(answer.status)) {
    throw new Error(`answered ${answer.status} instead of ${statuses.join(' or ')}: ${JSON.stringify(answer.body)}`);
  }
  return answer.body;
}
