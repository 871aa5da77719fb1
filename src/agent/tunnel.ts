import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { rootCertificates } from 'node:tls';
import { WebSocket } from 'ws';
import { backoffSeconds } from '../lib/backoff';
import { authorizeCall } from '../lib/call-mac';
import type { Clock } from '../lib/clock';
import { messageOf } from '../lib/errors';
import { joinStreams } from '../lib/join-streams';
import type { Logger } from '../lib/logger';
import { MAX_MESSAGE_BYTES, streamOverWebSocket } from '../lib/websocket-stream';
import { connectThrough } from './proxy';

export interface TunnelOptions {
  /** Base URL of the control plane. */
  endpoint: string;
  /** PEM, trusted in addition to Node's own. */
  ca: string | undefined;
  /** URL of the proxy to go through. */
  proxy?: string | undefined;
  /** This machine's own SSH server. The tunnel leads to nothing else. */
  sshd: { host: string; port: number };
  findCredential: () => Promise<string | undefined>;
  /** Requests the challenge that the request for a tunnel must contain. Rejects when the control plane does not send one. */
  challenge: (signal: AbortSignal) => Promise<string>;
  clock: Clock;
  logger: Logger;
}

const PATH = '/api/workers/tunnel';
const RETRY = { firstSeconds: 1, maxSeconds: 10 };
const HANDSHAKE_MS = 10_000;
/** Ping timeout. The control plane sends a ping every few seconds; after this long without one, the agent closes the tunnel as broken. */
const SILENCE_MS = 20_000;
const MAX_STREAMS = 64;
const STREAM_WINDOW = 1024 * 1024;
/** A tunnel that was open for longer than this resets the count of failures, so the next attempt starts without backoff. */
const GOOD_MS = 10_000;
/** Longest random pause before a new tunnel, so that the agents of a fleet do not all reconnect at once. */
const SPREAD_MS = 1_000;
const NO_CREDENTIAL_MS = 2_000;

/** Keeps one tunnel to the control plane open until `signal` aborts. Never rejects. */
export async function keepTunnel(options: TunnelOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger } = options;
  for (let failures = 0; !signal.aborted;) {
    const credential = await options.findCredential().catch(() => undefined);
    if (credential === undefined) {
      await clock.sleep(NO_CREDENTIAL_MS, signal);
      continue;
    }
    const openedAt = clock.monotonicMs();
    try {
      const authorization = authorizeCall(credential, { method: 'GET', path: PATH, nonce: await options.challenge(signal), body: '' });
      const session = await openTunnel(options, authorization, signal);
      logger.info('tunnel open');
      await untilOverOrDismissed(session);
      failures = clock.monotonicMs() - openedAt > GOOD_MS ? 0 : failures + 1;
      logger.info('tunnel over');
    } catch (error) {
      failures += 1;
      logger[failures === 1 ? 'warn' : 'debug']('no tunnel, will be tried again', { reason: messageOf(error), failures });
    }
    await clock.sleep(failures > 1 ? backoffSeconds(RETRY, failures - 1, Math.random()) * 1000 : Math.random() * SPREAD_MS, signal);
  }
}

function openTunnel(options: TunnelOptions, authorization: string, signal: AbortSignal): Promise<ServerHttp2Session> {
  const { endpoint, ca, proxy } = options;
  const socket = new WebSocket(`${endpoint.replace(/^http/, 'ws')}${PATH}`, {
    headers: { authorization },
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    ...(proxy === undefined ? {} : { createConnection: connectThrough({ proxy, url: endpoint, ca }) as unknown as typeof connectTcp }),
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handshakeTimeout: HANDSHAKE_MS,
    followRedirects: false,
    // Masks keep scripts in browsers from forging requests to proxies (RFC 6455, section 10.3). No script chooses these bytes, and masking
    // them costs CPU.
    generateMask: (mask) => mask.fill(0),
  });
  return new Promise((resolve, reject) => {
    socket.once('upgrade', ({ socket: tcp }) => tcp.setNoDelay(true));
    // Create the session in this same call: a stream created later would lose the data that directly follows the handshake.
    socket.once('open', () => resolve(serve(socket, options, signal)));
    socket.once('unexpected-response', (_request, response) => {
      socket.terminate();
      reject(new Error(`the control plane answered ${response.statusCode ?? 'nothing'}`));
    });
    socket.on('error', reject);
    const cut = (): void => socket.terminate();
    signal.addEventListener('abort', cut, { once: true });
    socket.once('close', () => {
      signal.removeEventListener('abort', cut);
      reject(new Error('the connection closed'));
    });
  });
}

function serve(socket: WebSocket, { sshd, clock, logger }: TunnelOptions, signal: AbortSignal): ServerHttp2Session {
  const stream = streamOverWebSocket(socket);
  stream.on('error', () => undefined);
  const session = performServerHandshake(stream, { settings: { maxConcurrentStreams: MAX_STREAMS, initialWindowSize: STREAM_WINDOW } });
  session.setLocalWindowSize(4 * STREAM_WINDOW);
  const over = new AbortController();
  let heardAt = clock.monotonicMs();
  session.on('ping', () => {
    heardAt = clock.monotonicMs();
  });
  const listen = async (): Promise<void> => {
    for (let left = SILENCE_MS; left > 0 && !over.signal.aborted; left = heardAt + SILENCE_MS - clock.monotonicMs()) {
      await clock.sleep(left, over.signal);
    }
    session.destroy();
  };
  void listen();
  session.on('stream', (opened, headers) => lead(opened, headers[':method'], sshd));
  session.on('error', (error: Error) => logger.debug('tunnel failed', { reason: error.message }));
  const stop = (): void => session.destroy();
  signal.addEventListener('abort', stop, { once: true });
  session.once('close', () => {
    over.abort();
    signal.removeEventListener('abort', stop);
    stream.destroy();
  });
  return session;
}

/** Connects a stream to this machine's sshd, whatever target the stream requests. */
function lead(stream: ServerHttp2Stream, method: string | undefined, sshd: TunnelOptions['sshd']): void {
  stream.on('error', () => undefined);
  if (method !== 'CONNECT') {
    stream.respond({ ':status': 405 }, { endStream: true });
    return;
  }
  const local = connectTcp({ ...sshd, noDelay: true, allowHalfOpen: true });
  local.once('error', () => stream.close(constants.NGHTTP2_CONNECT_ERROR));
  stream.once('close', () => local.destroy());
  local.once('connect', () => {
    if (!stream.destroyed) {
      stream.respond({ ':status': 200 });
      joinStreams(local, stream);
    }
  });
}

/**
 * Waits until the session closes or the replica sends GOAWAY. A replica that stops sends GOAWAY first, so the next tunnel opens while this
 * one still serves its streams.
 */
function untilOverOrDismissed(session: ServerHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    session.once('goaway', () => resolve());
    session.once('close', () => resolve());
    if (session.destroyed) {
      resolve();
    }
  });
}
