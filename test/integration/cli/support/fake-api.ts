import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  method: string;
  /** With its query. */
  path: string;
  headers: IncomingMessage['headers'];
  body: unknown;
}

export interface FakeAnswer {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** `cut`: the request was taken and the connection breaks without an answer. */
export type Handler = (request: SeenRequest, response: ServerResponse) => FakeAnswer | 'cut' | 'handled';

/** A stand-in for the API that answers what a test tells it: the contracts of the commands are tested here, the real service elsewhere. */
export interface FakeApi {
  url: string;
  seen: SeenRequest[];
  /** `POST /api/rent`; a later one for the same route replaces the earlier. */
  on(route: string, handler: Handler | FakeAnswer): void;
  seenAt(route: string): SeenRequest[];
  close(): Promise<void>;
}

export async function startFakeApi(): Promise<FakeApi> {
  const routes = new Map<string, Handler>();
  const seen: SeenRequest[] = [];
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of req as AsyncIterable<Buffer>) {
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString();
    const request: SeenRequest = {
      method: req.method ?? '',
      path: req.url ?? '',
      headers: req.headers,
      body: text === '' ? undefined : JSON.parse(text),
    };
    seen.push(request);
    const handler = routes.get(routeOf(request));
    const result = handler ? handler(request, res) : problem(404, 'not_found', `The fake knows no ${routeOf(request)}.`);
    if (result === 'cut') {
      req.socket.destroy();
    } else if (result !== 'handled') {
      send(res, result);
    }
  };
  const server = createServer((req, res) => void answer(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    on: (route, handler) => void routes.set(route, typeof handler === 'function' ? handler : () => handler),
    seenAt: (route) => seen.filter((request) => routeOf(request) === route),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const routeOf = ({ method, path }: SeenRequest): string => `${method} ${path.split('?')[0] ?? ''}`;

function send(res: ServerResponse, { status = 200, body, headers = {} }: FakeAnswer): void {
  const type = status >= 400 ? 'application/problem+json' : 'application/json';
  res.writeHead(status, { 'content-type': type, ...headers });
  res.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
}

export function problem(status: number, code: string, detail: string, headers: Record<string, string> = {}): FakeAnswer {
  return {
    status,
    headers,
    body: { type: `https://orion.invalid/problems/${code}`, title: code, status, code, detail, request_id: 'req-77' },
  };
}

export const user = {
  id: 5,
  username: 'ada',
  role: 'user',
  max_leases: 3,
  max_lease_hours: 24,
  disabled: false,
  created_at: '2026-05-01T00:00:00.000Z',
};

export function aLease(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 7,
    state: 'active',
    client_id: 5,
    created_at: '2026-05-04T08:00:00.000Z',
    ends_at: '2026-05-04T10:00:00.000Z',
    remaining_seconds: 7200,
    generation: 1,
    waiting_since: null,
    ended_at: null,
    end_reason: null,
    requirements: { cpus: 1, memory_mb: 0, labels: {} },
    node: { id: 3, hostname: 'worker-3', status: 'alive' },
    access: {
      host: '127.0.10.3',
      port: 2222,
      username: 'orn-abc',
      host_key: 'ssh-ed25519 AAAA',
      host_key_fingerprint: 'SHA256:xyz',
      known_hosts: '[127.0.10.3]:2222 ssh-ed25519 AAAA',
      command: 'ssh -p 2222 orn-abc@127.0.10.3',
    },
    checkpoint: { enabled: true, last_at: '2026-05-04T07:57:00.000Z', age_seconds: 180, bytes: 5_000_000, error: null },
    ...changes,
  };
}

/** The way in that stays; nobody answers there. */
export function aGateway(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    host: 'gw.orion.example',
    port: 2222,
    username: 'lease-7',
    host_key: 'ssh-ed25519 AAAA',
    known_hosts: '[gw.orion.example]:2222 ssh-ed25519 AAAA',
    command: 'ssh -p 2222 lease-7@gw.orion.example',
    ...changes,
  };
}

export const page = (...items: unknown[]): FakeAnswer => ({ body: { items, next_cursor: null } });
