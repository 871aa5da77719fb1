import { createServer, type RequestListener, type Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Clock } from '../lib/clock';
import { answerUnreadable } from './problem';

interface CloseOptions {
  /** Requests that outlast it are cut. */
  limitMs: number;
  /** How long an idle connection stays open, for whoever is just about to use it: longer than the proxy in front keeps one. */
  keepIdleMs?: number;
}

export interface Listening {
  server: Server;
  port: number;
  /**
   * Stops accepting and lets requests in flight finish. Connections that the other side keeps for later are answered on for a while: a request that
   * meets a connection just being closed would be lost, since nobody can know whether it was begun.
   */
  close(options: CloseOptions): Promise<void>;
}

/**
 * Less than the proxy in front waits for a body (`read_body` in the Caddyfile), so that a slow sender gets the 408 of the API: Caddy's own end of such a
 * request is a `200 OK` without a body.
 */
const REQUEST_MS = 20_000;
/** How often Node looks for requests that are over their time. Its default, 30 s, would let them last two and a half times as long. */
const CHECK_MS = 1_000;
/** Open connections of one listener: a bound on the memory that callers take (about 15 KB each). Further ones are closed at once. */
const MAX_CONNECTIONS = 10_000;

export interface ListenOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** The setting that decides the port, for the error. */
  setting: string;
  clock: Clock;
}

/** Listens on host:port. Rejects when that cannot be had, with the setting to change when another process has the port. */
export function listen(app: RequestListener, { host, port, setting, clock }: ListenOptions): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = createServer({ connectionsCheckingInterval: CHECK_MS }, app);
    server.maxConnections = MAX_CONNECTIONS;
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(error.code === 'EADDRINUSE' ? new Error(`${setting}: another process of this machine listens on ${host}:${port}. Give each process a port of its own.`, { cause: error }) : error);
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      // Slow senders of headers or bodies hold a connection for this long at most.
      server.headersTimeout = 10_000;
      server.requestTimeout = REQUEST_MS;
      server.keepAliveTimeout = 65_000;
      server.on('clientError', answerUnreadable);
      const address = server.address();
      resolve({ server, port: typeof address === 'object' && address ? address.port : port, close: (options) => close(server, clock, options) });
    });
  });
}

const SWEEP_MS = 50;

async function close(server: Server, clock: Clock, { limitMs, keepIdleMs = 0 }: CloseOptions): Promise<void> {
  const done = new AbortController();
  // Not the HTTP server's own `close`, which ends idle connections at once.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  void closed.then(() => done.abort());
  const begunAt = clock.monotonicMs();
  const elapsed = (): number => clock.monotonicMs() - begunAt;
  while (!done.signal.aborted && elapsed() < limitMs) {
    if (elapsed() >= keepIdleMs) {
      // Again and again: a connection that was busy so far stays open after its answer, as keep-alive promises, and would hold up the stop.
      server.closeIdleConnections();
    }
    await clock.sleep(SWEEP_MS, done.signal);
  }
  server.closeAllConnections();
  await closed;
  // Ends what the HTTP server still watches connections with.
  server.close();
}
