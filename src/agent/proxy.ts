import { request as plainRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';

/** The function that `http.request` and `ws` accept to open connections. */
export type Connect = NonNullable<RequestOptions['createConnection']>;

export interface ProxyOptions {
  /** In the form of `http_proxy`; may contain a user and a password. */
  proxy: string;
  /** The server behind the proxy. With https, TLS ends at that server and not at the proxy. */
  url: string;
  /** PEM, trusted in addition to Node's own. */
  ca: string | undefined;
}

const LIMIT_MS = 10_000;
const PORTS: Record<string, number> = { 'http:': 80, 'ws:': 80, 'https:': 443, 'wss:': 443 };

/** Returns the proxy's address without user and password, for messages. */
export const nameOfProxy = (proxy: string): string => `${new URL(proxy).protocol}//${new URL(proxy).host}`;

/** Opens connections to the server of `url` by CONNECT (RFC 9110, section 9.3.6). The proxy forwards bytes, also those of a WebSocket. */
export function connectThrough(options: ProxyOptions): Connect {
  return ({ signal }, done) => {
    open(options, signal ?? undefined).then(
      (socket) => done(null, socket),
      (error: unknown) => done(error as Error, undefined as unknown as Duplex),
    );
    return undefined;
  };
}

async function open({ proxy, url, ca }: ProxyOptions, signal: AbortSignal | undefined): Promise<Duplex> {
  const { protocol, hostname, port } = new URL(url);
  const socket = await askForTunnel({ proxy: new URL(proxy), target: `${hostname}:${port || String(PORTS[protocol])}`, ca, signal });
  return protocol === 'https:' || protocol === 'wss:' ? secure(socket, hostname.replace(/^\[|\]$/g, ''), ca) : socket;
}

interface Question {
  proxy: URL;
  /** `host:port` */
  target: string;
  ca: string | undefined;
  signal: AbortSignal | undefined;
}

async function askForTunnel({ proxy, target, ca, signal }: Question): Promise<Duplex> {
  const request = proxy.protocol === 'https:' ? (await import('node:https')).request : plainRequest;
  const extra = proxy.protocol === 'https:' ? await trusting(ca) : {};
  const place = { protocol: proxy.protocol, hostname: proxy.hostname.replace(/^\[|\]$/g, ''), port: proxy.port || PORTS[proxy.protocol] };
  return new Promise((resolve, reject) => {
    const call = request({
      ...place,
      ...extra,
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...authorization(proxy) },
      agent: false,
      timeout: LIMIT_MS,
      signal,
    });
    call.once('connect', (response, socket, head) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        reject(new Error(refusal(response, target)));
        return;
      }
      socket.setTimeout(0);
      if (head.length > 0) {
        socket.unshift(head);
      }
      resolve(socket);
    });
    call.once('timeout', () => call.destroy(new Error(`it does not answer within ${LIMIT_MS / 1000} s`)));
    call.on('error', reject);
    call.end();
  });
}

function authorization({ username, password }: URL): Record<string, string> {
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return username === '' && password === '' ? {} : { 'proxy-authorization': `Basic ${Buffer.from(text).toString('base64')}` };
}

function refusal({ statusCode, statusMessage }: IncomingMessage, target: string): string {
  const remedies: Record<number, string> = {
    403: '. Many proxies let CONNECT go to port 443 alone: use an https address as API_ENDPOINT',
    407: '. Give user and password in the setting: http://user:password@host:port',
  };
  return `it answered ${[statusCode, statusMessage].join(' ').trim()} to CONNECT ${target}${remedies[statusCode ?? 0] ?? ''}`;
}

async function secure(socket: Duplex, host: string, ca: string | undefined): Promise<Duplex> {
  const [{ connect }, { isIP }] = await Promise.all([import('node:tls'), import('node:net')]);
  return connect({ socket, host, servername: isIP(host) ? '' : host, ...(await trusting(ca)) });
}

async function trusting(ca: string | undefined): Promise<{ ca?: string[] }> {
  return ca === undefined ? {} : { ca: [...(await import('node:tls')).rootCertificates, ca] };
}
