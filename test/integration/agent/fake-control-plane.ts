import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { systemClock } from '../../../src/lib/clock';
import { freePort, projectDir, type Lab } from '../../lab';
import { join } from 'node:path';

/** The single file that `npm run build` makes. */
export const agentFile = join(projectDir, 'dist', 'orion-agent.js');

export type Path = 'register' | 'heartbeat' | 'leave';

export interface Call {
  path: Path;
  credential: string | undefined;
  body: Record<string, unknown>;
  atMs: number;
}

/** Answers a call; given a value, that is sent as JSON with status 200. */
export type Reply = Record<string, unknown> | ((response: ServerResponse, call: Call) => void);

/**
 * A stand-in for the control plane at the wire, so that a test can make it say anything. The agent against the real one is tested
 * end to end.
 */
export interface FakeControlPlane {
  endpoint: string;
  calls: Call[];
  of(path: Path): Call[];
  /** From now on; the replies of `once` are used up before. */
  reply(path: Path, reply: Reply): void;
  once(path: Path, ...replies: Reply[]): void;
  open(): Promise<void>;
  /** Refuses connections until `open`. */
  shut(): Promise<void>;
}

export const registration = (extra: object = {}): Record<string, unknown> => ({
  node_id: 'n1',
  status: 'unknown',
  management: { username: 'orion-mgmt', public_keys: [] },
  heartbeat_interval_seconds: 0.3,
  ...extra,
});

export const heartbeatAnswer = (extra: object = {}): Record<string, unknown> => ({
  status: 'alive',
  heartbeat_interval_seconds: 0.3,
  management: { username: 'orion-mgmt', public_keys: [] },
  accounts: [],
  ...extra,
});

export const problem = (status: number, body: object = {}, headers: Record<string, string> = {}): Reply => (response) => {
  response.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
  response.end(JSON.stringify({ status, ...body }));
};

/** Admits everybody: credential `orion_node_first`, a heartbeat each 0.3 s. */
export async function createFakeControlPlane(lab: Lab, tls?: { key: Buffer; cert: Buffer }): Promise<FakeControlPlane> {
  const port = await freePort();
  const calls: Call[] = [];
  const standing: Record<Path, Reply> = {
    register: registration({ credential: 'orion_node_first' }),
    heartbeat: heartbeatAnswer(),
    leave: { left: true, status: 'retired', detail: '' },
  };
  const next: Record<Path, Reply[]> = { register: [], heartbeat: [], leave: [] };
  const answer = (call: Call, response: ServerResponse): void => {
    calls.push(call);
    const reply = next[call.path].shift() ?? standing[call.path];
    if (typeof reply === 'function') {
      reply(response, call);
    } else {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(reply));
    }
  };
  const listener: RequestListener = (request, response) => {
    if (request.headers.upgrade !== undefined) {
      // One from before there were tunnels.
      response.writeHead(404).end();
      return;
    }
    const chunks: Buffer[] = [];
    response.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = (request.url ?? '').replace('/api/workers/', '') as Path;
      const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Record<string, unknown>;
      const credential = request.headers.authorization?.replace(/^Bearer /, '');
      answer({ path, credential, body, atMs: systemClock.monotonicMs() }, response);
    });
  };
  const server = tls ? createSecureServer(tls, listener) : createServer(listener);
  const shut = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  lab.push('fake control plane', shut);
  return {
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    calls,
    of: (path) => calls.filter((call) => call.path === path),
    reply: (path, reply) => void (standing[path] = reply),
    once: (path, ...replies) => void next[path].push(...replies),
    open: () => new Promise((resolve) => void server.listen(port, '127.0.0.1', () => resolve())),
    shut,
  };
}
