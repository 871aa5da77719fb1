import { createPathBasedClient, type PathBasedClient } from 'openapi-fetch';
import type { Paths } from './paths';

/**
 * A client with typed calls: `client.GET('/api/leases/{id}', { params: { path: { id: 7 } } })`. A call resolves for any status: with `data`
 * of a success, or with `error`, a Problem.
 */
export type OrionClient = PathBasedClient<Paths>;

export interface OrionClientOptions {
  /** Such as `https://orion.example.org`. */
  baseUrl: string;
  /** From POST /api/login. Without it, only public calls succeed. */
  token?: string | undefined;
  /** Sends the requests. Default: `fetch` of Node or the browser. */
  fetch?: (request: Request) => Promise<Response>;
}

export function createOrionClient({ baseUrl, token, fetch }: OrionClientOptions): OrionClient {
  return createPathBasedClient<Paths>({
    baseUrl,
    headers: { accept: 'application/json, application/problem+json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    ...(fetch ? { fetch } : {}),
  });
}
