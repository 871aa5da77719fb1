import { Agent as PlainAgent, request as plainRequest, type IncomingMessage } from 'node:http';
import { withDeadline } from '../lib/clock';
import { version } from '../lib/version';

interface HttpRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string;
  /** From the start of the connection to the last byte of the answer. */
  timeoutMs: number;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

/** Sends requests over connections that it keeps open. Does not follow redirects. */
export interface HttpClient {
  /** Rejects if no complete answer arrived in time. */
  send(request: HttpRequest): Promise<HttpAnswer>;
  /** Resolves when the head of the answer has arrived. The body continues until `signal` aborts. */
  open(request: HttpRequest, signal?: AbortSignal): Promise<IncomingMessage>;
  close(): void;
}

const MAX_BYTES = 64 * 1024 * 1024;
/** By this text people recognise a session in the list of their sessions. */
const USER_AGENT = `orion/${version} (${process.platform})`;

interface Transport {
  request: typeof plainRequest;
  agent: PlainAgent;
}

/**
 * Creates a client that opens its transport at the first request.
 *
 * @param readCa returns PEM certificates to trust besides Node's own; called only for https
 */
export function createHttpClient(readCa: () => Promise<string | undefined>): HttpClient {
  let transport: Promise<Transport> | undefined;
  const transportFor = (url: string): Promise<Transport> =>
    (transport ??= url.startsWith('https:')
      ? secureTransport(readCa)
      : Promise.resolve({ request: plainRequest, agent: new PlainAgent({ keepAlive: true }) }));
  const open = async (request: HttpRequest, signal: AbortSignal): Promise<IncomingMessage> =>
    exchange(await transportFor(request.url), request, signal);
  return {
    send: (request) =>
      withDeadline(request.timeoutMs, async (signal) => {
        const response = await open(request, signal);
        return { status: response.statusCode ?? 0, headers: response.headers, text: await readText(response) };
      }),
    open: async (request, signal) => {
      const cut = new AbortController();
      const whole = signal ? AbortSignal.any([signal, cut.signal]) : cut.signal;
      return withDeadline(request.timeoutMs, () => open(request, whole)).catch((error: unknown) => {
        cut.abort();
        throw error;
      });
    },
    close: () =>
      void transport?.then(
        ({ agent }) => agent.destroy(),
        () => undefined,
      ),
  };
}

/** Sends a Request of the Fetch API over the client's connections. */
export async function sendRequest(http: HttpClient, request: Request, timeoutMs: number): Promise<HttpAnswer> {
  const body = request.body === null ? undefined : await request.text();
  return http.send({ method: request.method, url: request.url, headers: Object.fromEntries(request.headers), body, timeoutMs });
}

/** Statuses for which a Response of the Fetch API must have no body, not even an empty one. */
const WITHOUT_BODY = [204, 205, 304];

export const toResponse = ({ status, headers, text }: HttpAnswer): Response =>
  new Response(WITHOUT_BODY.includes(status) ? null : text, {
    status,
    headers: Object.entries(headers).map(([name, value]): [string, string] => [name, [value].flat().join(', ')]),
  });

// Imports TLS only for https, because loading it takes a large part of the time of a short command.
async function secureTransport(readCa: () => Promise<string | undefined>): Promise<Transport> {
  const [{ request, Agent }, { rootCertificates }, ca] = await Promise.all([import('node:https'), import('node:tls'), readCa()]);
  const trust = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
  return { request, agent: new Agent({ keepAlive: true, ...trust }) };
}

function exchange(
  { request: start, agent }: Transport,
  { method, url, headers, body }: HttpRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const length = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const request = start(url, { method, headers: { 'user-agent': USER_AGENT, ...headers, ...length }, agent, signal }, resolve);
    request.on('error', reject);
    request.end(body);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BYTES) {
      throw new Error(`the answer is larger than ${MAX_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
