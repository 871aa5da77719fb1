import { createServer, type RequestListener, type Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Clock } from '../lib/clock';
import { answerUnreadable } from './problem';

interface CloseOptions {
  /** Requests that still run after this time are cut. */
  limitMs: number;
  /** How long an idle connection stays open for another request. It must be longer than the proxy in front keeps an idle connection. */
  keepIdleMs?: number;
}

export interface Listening {
  server: Server;
  port: number;
  /**
   * Stops accepting connections and lets running requests finish. Idle connections are still served for `keepIdleMs`. A request on a
   * connection that is just being closed would be lost, and its sender could not know whether it was begun.
   */
  close(options: CloseOptions): Promise<void>;
}

/**
 * Time limit of a request. It is shorter than the proxy in front waits for a body (`read_body` in the Caddyfile), so a slow sender gets the
 * 408 of the API. When Caddy itself ends such a request, it answers `200 OK` without a body.
 */
const REQUEST_MS = 20_000;
/**
 * Interval at which Node looks for requests over their time limit. With its default of 30 s, a request could last two and a half times as
 * long.
 */
const CHECK_MS = 1_000;
/** Open connections of one listener. This bounds the memory that callers use (about 15 KB each). Further connections are closed at once. */
const MAX_CONNECTIONS = 10_000;

export interface ListenOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Name of the setting that contains the port, for the error message. */
  setting: string;
  clock: Clock;
}

/** Listens on host:port. Rejects when that fails. If another process has the port, the error names the setting to change. */
export function listen(app: RequestListener, { host, port, setting, clock }: ListenOptions): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = createServer({ connectionsCheckingInterval: CHECK_MS }, app);
    server.maxConnections = MAX_CONNECTIONS;
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(`${setting}: another process of this machine listens on ${host}:${port}. Give each process a port of its own.`, {
              cause: error,
            })
          : error,
      );
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      // A sender of slow headers or a slow body keeps a connection at most this long.
      server.headersTimeout = 10_000;
      server.requestTimeout = REQUEST_MS;
      server.keepAliveTimeout = 65_000;
      server.on('clientError', answerUnreadable);
      const address = server.address();
      resolve({
        server,
        port: typeof address === 'object' && address ? address.port : port,
        close: (options) => close(server, clock, options),
      });
    });
  });
}

const SWEEP_MS = 50;

async function close(server: Server, clock: Clock, { limitMs, keepIdleMs = 0 }: CloseOptions): Promise<void> {
  const done = new AbortController();
  // The HTTP server's own `close` would end idle connections at once.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  void closed.then(() => done.abort());
  const begunAt = clock.monotonicMs();
  const elapsed = (): number => clock.monotonicMs() - begunAt;
  while (!done.signal.aborted && elapsed() < limitMs) {
    if (elapsed() >= keepIdleMs) {
      // This is repeated: a busy connection stays open after its answer, as keep-alive promises, and would delay the stop.
      server.closeIdleConnections();
    }
    await clock.sleep(SWEEP_MS, done.signal);
  }
  server.closeAllConnections();
  await closed;
  // Ends the timer with which the HTTP server checks its connections.
  server.close();
}
