import { Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface HttpRequest {
  method: string;
  /** With its query; sent as it is. */
  path: string;
  headers?: Record<string, string>;
  body?: Buffer | string;
  /** Done once this has come: for streams, which have no end. */
  untilFirstByte?: boolean;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Requests as they are, past everything that `fetch` would refuse or mend, over connections that are kept. */
export interface HttpClient {
  /** Any status is an answer; rejects when there is none in time. */
  send(url: string, sent: HttpRequest): Promise<HttpAnswer>;
  close(): void;
}

/** A rent waits for its account for a minute. */
const ANSWER_LIMIT_MS = 90_000;

/** @param connections to each server, at most */
export function createHttpClient(connections: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return {
    send: (url, sent) => send(agent, url, sent),
    close: () => agent.destroy(),
  };
}

function send(agent: Agent, url: string, { method, path, headers = {}, body, untilFirstByte = false }: HttpRequest): Promise<HttpAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const outgoing = request(
      { agent, hostname, port, method, path, headers: { ...length, ...headers }, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) },
      (incoming) => {
        const chunks: Buffer[] = [];
        const done = (): void =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: Buffer.concat(chunks).toString() });
        incoming.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          if (untilFirstByte && incoming.headers['content-type']?.startsWith('text/event-stream')) {
            done();
            incoming.destroy();
          }
        });
        incoming.on('end', done).on('error', reject);
      },
    );
    outgoing.on('error', reject).end(body);
  });
}

/** Does `work` for 0, 1, … `count` - 1, that many at a time, until all are done or `enough` says so. Returns how many were done. */
export async function inParallel(
  count: number,
  { width, enough = () => false }: { width: number; enough?: () => boolean },
  work: (n: number) => Promise<void>,
): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count && !enough()) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return next;
}
