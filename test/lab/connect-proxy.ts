import { createServer, request, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Lab } from './lab';
import type { Place } from './relay';

/** How the proxy answers a CONNECT. A number is the status of a refusal. `silent`: the proxy never answers. */
export type ProxyMood = 'connects' | 'silent' | 407 | 503;

export interface ConnectProxy {
  url: string;
  mood: ProxyMood;
  /** The only accepted credentials (`user:password`). Undefined: the proxy accepts every client. */
  credentials: string | undefined;
  /** `METHOD target` of each request that the proxy received. */
  asked: string[];
  /** Bytes that the proxy forwarded through tunnels, in both directions. */
  bytes: number;
  /** Closes all tunnels. */
  cut(): void;
}

/**
 * Starts an HTTP proxy that supports CONNECT and forwards plain requests. It connects to `to`, whatever target a request names. Closes with
 * the lab.
 */
export async function startConnectProxy(lab: Lab, { host, to }: { host: string; to: Place }): Promise<ConnectProxy> {
  const sockets = new Set<Duplex>();
  const server = createServer((req, res) => {
    proxy.asked.push(`${req.method ?? ''} ${req.url ?? ''}`);
    const { pathname } = new URL(req.url ?? '', 'http://nobody');
    const onward = request({ ...to, method: req.method, path: pathname, headers: req.headers, agent: false }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    onward.on('error', () => res.destroy());
    req.pipe(onward);
  });
  const proxy: ConnectProxy = {
    url: '',
    mood: 'connects',
    credentials: undefined,
    asked: [],
    bytes: 0,
    cut: () => sockets.forEach((socket) => socket.destroy()),
  };
  server.on('connection', (socket: Socket) => hold(sockets, socket));
  server.on('connect', (req: IncomingMessage, socket: Duplex) => {
    proxy.asked.push(`CONNECT ${req.url ?? ''}`);
    const wanted = proxy.credentials && `Basic ${Buffer.from(proxy.credentials).toString('base64')}`;
    const mood = wanted !== undefined && req.headers['proxy-authorization'] !== wanted ? 407 : proxy.mood;
    if (mood === 'silent') {
      return;
    }
    if (mood !== 'connects') {
      socket.end(`HTTP/1.1 ${mood} ${mood === 407 ? 'Proxy Authentication Required' : 'Service Unavailable'}\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const onward = connect(to, () => socket.write('HTTP/1.1 200 Connection established\r\n\r\n'));
    hold(sockets, onward);
    for (const [from, into] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.on('data', (chunk: Buffer) => (proxy.bytes += chunk.length));
      from.on('close', () => into.destroy());
      from.pipe(into);
    }
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  proxy.url = `http://${host}:${(server.address() as AddressInfo).port}`;
  lab.push('proxy', async () => {
    proxy.cut();
    await new Promise((resolve) => server.close(resolve));
  });
  return proxy;
}

function hold(sockets: Set<Duplex>, socket: Duplex): void {
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
}
