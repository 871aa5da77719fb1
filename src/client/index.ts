import { createPathBasedClient, type PathBasedClient } from 'openapi-fetch';
import type { Paths } from './paths';

/** Typed calls: `client.GET('/api/leases/{id}', { params: { path: { id: 7 } } })`. Any status is an answer: `data` of a success, or `error`, a Problem. */
export type OrionClient = PathBasedClient<Paths>;

export interface OrionClientOptions {
  /** Such as `https://orion.example.org`. */
  baseUrl: string;
  /** From POST /api/login; without it only public calls are answered. */
  token?: string | undefined;
  /** What sends the requests. Default: Node's or the browser's own. */
  fetch?: (request: Request) => Promise<Response>;
}

export function createOrionClient({ baseUrl, token, fetch }: OrionClientOptions): OrionClient {
  return createPathBasedClient<Paths>({
    baseUrl,
    headers: { accept: 'application/json, application/problem+json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    ...(fetch ? { fetch } : {}),
  });
}
