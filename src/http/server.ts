import { createServer, type RequestListener, type Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Clock } from '../lib/clock';
import { answerUnreadable } from './problem';

export interface CloseOptions {
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

/** Listens on host:port (0: any free port). Rejects when that cannot be had. */
export function listen(app: RequestListener, { host, port, clock }: { host: string; port: number; clock: Clock }): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = createServer(app);
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      // Slow senders of headers or bodies hold a connection for this long at most.
      server.headersTimeout = 15_000;
      server.requestTimeout = 30_000;
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
