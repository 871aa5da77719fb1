import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../lib/clock';
import { newClaimToken } from '../../lib/ids';
import type { Logger } from '../../lib/logger';

/** The tunnels that this process owns. */
export interface TunnelHub {
  /**
   * Takes ownership of the stream that a node's agent opened; replaces an older tunnel of that node here. `onClose` is called once, when
   * the tunnel has closed. Returns the tunnel's own token.
   */
  hold(nodeId: number, stream: Duplex, onClose: (token: string) => void): string;
  /** Opens a stream to the node's sshd. Rejects when the node has no tunnel here or its sshd does not answer. */
  open(nodeId: number, signal: AbortSignal): Promise<Duplex>;
  /** Whether the agent answers a ping within `limitMs`. A tunnel whose agent was sent to another replica does not count. */
  answers(nodeId: number, limitMs: number): Promise<boolean>;
  /** Closes the node's tunnel. */
  drop(nodeId: number): void;
  holds(nodeId: number, token: string): boolean;
  list(): { nodeId: number; token: string }[];
  /** Sends every agent to another replica; their streams go on until `close`. */
  dismiss(): void;
  close(): void;
}

interface Tunnel {
  token: string;
  session: ClientHttp2Session;
  dismissed: boolean;
}

export interface TunnelHubDeps {
  clock: Clock;
  logger: Logger;
  /** Interval of the pings. A ping that stays unanswered for twice as long ends the tunnel. */
  pingMs?: number;
}

const PING_MS = 5_000;
const MAX_STREAMS = 64;
/** Flow-control windows: unread bytes of one stream, and of a whole tunnel. They bound the memory that a stalled client can cost. */
const STREAM_WINDOW = 1024 * 1024;
const TUNNEL_WINDOW = 4 * STREAM_WINDOW;

export class NoTunnelError extends Error {
  override name = 'NoTunnelError';
}

/**
 * Creates the hub. It runs HTTP/2 over the agent's stream, with the control plane as the client (RFC 9113, section 8.5: CONNECT). So only
 * this side can open streams, flow-control windows bound the bytes in flight, and malformed frames end only that one tunnel.
 */
export function createTunnelHub({ clock, logger, pingMs = PING_MS }: TunnelHubDeps): TunnelHub {
  const tunnels = new Map<number, Tunnel>();

  const find = (nodeId: number): Tunnel => {
    const tunnel = tunnels.get(nodeId);
    if (!tunnel || tunnel.session.closed || tunnel.session.destroyed) {
      throw new NoTunnelError(`node ${nodeId} has no tunnel here`);
    }
    return tunnel;
  };

  return {
    hold: (nodeId, stream, onClose) => {
      const token = newClaimToken();
      const session = connect('http://node', {
        createConnection: () => stream,
        settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
        peerMaxConcurrentStreams: MAX_STREAMS,
      });
      session.on('error', (error: Error) => logger.info('tunnel failed', { nodeId, reason: error.message }));
      session.once('connect', () => session.setLocalWindowSize(TUNNEL_WINDOW));
      const keepAsking = askRegularly(session, clock, pingMs);
      const before = tunnels.get(nodeId);
      tunnels.set(nodeId, { token, session, dismissed: false });
      session.once('close', () => {
        keepAsking.abort();
        stream.destroy();
        if (tunnels.get(nodeId)?.session === session) {
          tunnels.delete(nodeId);
        }
        onClose(token);
      });
      before?.session.close();
      return token;
    },
    open: (nodeId, signal) => openStream(find(nodeId).session, signal),
    answers: async (nodeId, limitMs) => {
      const tunnel = tunnels.get(nodeId);
      return tunnel !== undefined && !tunnel.dismissed && ping(tunnel.session, { clock, limitMs });
    },
    drop: (nodeId) => tunnels.get(nodeId)?.session.destroy(),
    holds: (nodeId, token) => tunnels.get(nodeId)?.token === token,
    list: () => [...tunnels].map(([nodeId, { token }]) => ({ nodeId, token })),
    dismiss: () => {
      for (const tunnel of tunnels.values()) {
        tunnel.dismissed = true;
        tunnel.session.goaway(constants.NGHTTP2_NO_ERROR);
      }
    },
    close: () => {
      for (const { session } of tunnels.values()) {
        session.destroy();
      }
    },
  };
}

function askRegularly(session: ClientHttp2Session, clock: Clock, pingMs: number): AbortController {
  const over = new AbortController();
  const ask = async (): Promise<void> => {
    for (let answered = true; answered;) {
      // Spread the pings, even if many tunnels opened at once.
      await clock.sleep(pingMs * (0.75 + Math.random() / 2), over.signal);
      answered = !over.signal.aborted && (await ping(session, { clock, limitMs: 2 * pingMs }));
    }
    session.destroy();
  };
  void ask();
  return over;
}

async function ping(session: ClientHttp2Session, { clock, limitMs }: { clock: Clock; limitMs: number }): Promise<boolean> {
  const over = new AbortController();
  const answered = new Promise<boolean>((resolve) => {
    if (session.destroyed || !session.ping((error) => resolve(error === null))) {
      resolve(false);
    }
  });
  try {
    return await Promise.race([answered, clock.sleep(limitMs, over.signal).then(() => false)]);
  } finally {
    over.abort();
  }
}

function openStream(session: ClientHttp2Session, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const stream: ClientHttp2Stream = session.request({ ':method': 'CONNECT', ':authority': 'sshd' });
    const fail = (reason: string): void => {
      stream.close(constants.NGHTTP2_CANCEL);
      reject(new Error(reason));
    };
    const abort = (): void => {
      fail('aborted');
      stream.destroy();
    };
    signal.addEventListener('abort', abort, { once: true });
    stream.once('close', () => {
      signal.removeEventListener('abort', abort);
      reject(new Error('the tunnel closed'));
    });
    stream.on('error', (error: Error) => reject(error));
    stream.once('response', ({ ':status': status }) =>
      status === 200 ? resolve(stream) : fail(`the node's sshd does not answer (${String(status)})`),
    );
    if (signal.aborted) {
      abort();
    }
  });
}
