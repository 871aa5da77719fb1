import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { withDeadline } from '../../lib/clock';
import { joinStreams } from '../../lib/join-streams';
import { NoTunnelError, type TunnelHub } from './hub';
import { isRelayToken, type OlderTokens } from './relay-tokens';
import type { TunnelOwner } from './types';

/** The server through which the rest of the control plane uses the tunnels of this process. */
export interface Relay {
  url: string;
  /** Accepts tokens for this announcement too. Tokens for the sixth announcement before it expire. */
  admit(announced: string): void;
  close(): Promise<void>;
}

export interface RelayDeps {
  owner: Pick<TunnelOwner, 'id' | 'key'>;
  hub: TunnelHub;
  /** Tokens of callers of the previous release. */
  older: OlderTokens;
  /** An address that only the control plane can reach. */
  host: string;
  /** 0: any free one. */
  port: number;
}

/** The protocol's name in `Upgrade`. */
export const RELAY_PROTOCOL = 'orion-tunnel';
/**
 * Number of accepted announcements. They are 5 s apart, so a token lives for 30 s. They are counted and not timed: while the database is
 * away, there is no new announcement, and callers go on with the last.
 */
const ANNOUNCEMENTS = 6;
const OPEN_MS = 10_000;
const KEEPALIVE_MS = 15_000;
/** Shorter than the caller's timeout; see isTunnelAnswering. */
const ANSWER_MS = 3_000;

/**
 * Starts the relay. `GET /tunnels/{node}` with an upgrade returns a stream to the node's sshd. Without an upgrade, it reports whether the
 * node's agent answers (200 or 404). Without a valid token both return 404, like every other request.
 */
export async function startRelay({ host, port, ...given }: RelayDeps): Promise<Relay> {
  const deps: Admission = { ...given, announcements: [] };
  const sockets = new Set<Socket>();
  const server = createServer((req, res) => {
    const nodeId = admittedNode(req, deps);
    const answering = nodeId === undefined ? Promise.resolve(false) : deps.hub.answers(nodeId, ANSWER_MS);
    void answering.then((yes) => res.writeHead(yes ? 200 : 404).end());
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (req, socket: Socket, head) => {
    socket.on('error', () => undefined);
    void connect(req, socket, { ...deps, head });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const admit = (announced: string): void =>
    void deps.announcements.splice(0, Math.max(0, deps.announcements.push(announced) - ANNOUNCEMENTS));
  return { url: urlOf(server), admit, close: () => close(server, sockets) };
}

function urlOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

type Admission = Pick<RelayDeps, 'owner' | 'older' | 'hub'> & { announcements: string[] };

function admittedNode({ url = '', headers }: IncomingMessage, { owner, older, announcements }: Admission): number | undefined {
  const nodeId = Number(/^\/tunnels\/([1-9]\d{0,14})$/.exec(url)?.[1]);
  const [, token = ''] = /^Bearer (\S{1,200})$/.exec(headers.authorization ?? '') ?? [];
  const shown = { owner, nodeId, announcements };
  return Number.isSafeInteger(nodeId) && (isRelayToken(token, shown) || older.verify(token, shown)) ? nodeId : undefined;
}

async function connect(req: IncomingMessage, socket: Socket, { head, ...deps }: Admission & { head: Buffer }): Promise<void> {
  const nodeId = req.headers.upgrade === RELAY_PROTOCOL ? admittedNode(req, deps) : undefined;
  if (nodeId === undefined) {
    refuse(socket, '404 Not Found');
    return;
  }
  try {
    const stream = await withDeadline(OPEN_MS, (signal) => {
      const over = new AbortController();
      socket.once('close', () => over.abort());
      return deps.hub.open(nodeId, AbortSignal.any([signal, over.signal]));
    });
    socket.setNoDelay(true);
    // A caller that closed and one that only ended its side look the same until data is sent to it.
    socket.setKeepAlive(true, KEEPALIVE_MS);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${RELAY_PROTOCOL}\r\n\r\n`);
    socket.unshift(head);
    joinStreams(socket, stream);
  } catch (error) {
    refuse(socket, error instanceof NoTunnelError ? '404 Not Found' : '502 Bad Gateway');
  }
}

const refuse = (socket: Socket, status: string): void =>
  void socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy());

async function close(server: Server, sockets: Set<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of sockets) {
    socket.destroy();
  }
  await closed;
}
