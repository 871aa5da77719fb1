import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface Answer<T> {
  status: number;
  body: T;
  header(name: string): string | undefined;
}

export interface Call {
  body?: object;
  headers?: Record<string, string>;
}

/** A caller of the API. Answers of any status are answers; only a broken connection rejects. */
export interface Client {
  get<T>(path: string): Promise<Answer<T>>;
  post<T>(path: string, body: object, headers?: Record<string, string>): Promise<Answer<T>>;
  /** The same with an access token. */
  as(token: string): Client;
}

const ANSWER_LIMIT_MS = 60_000;

/** @param ca the certificate to trust; each call uses a connection of its own, as if it came from another program */
export function createClient(url: string, { ca, token }: { ca?: string; token?: string } = {}): Client {
  const call = async <T>(method: string, path: string, { body, headers = {} }: Call = {}): Promise<Answer<T>> => {
    const authorization: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const text = body === undefined ? undefined : JSON.stringify(body);
    const content: Record<string, string> = text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) };
    const response = await send(`${url}${path}`, { method, ca, headers: { ...authorization, ...content, ...headers }, text });
    const answer = await readAll(response);
    const isJson = /json/.test(response.headers['content-type'] ?? '');
    return {
      status: response.statusCode ?? 0,
      body: (isJson ? JSON.parse(answer) : undefined) as T,
      header: (name) => [response.headers[name.toLowerCase()]].flat()[0],
    };
  };
  return {
    get: (path) => call('GET', path),
    post: (path, body, headers = {}) => call('POST', path, { body, headers }),
    as: (other) => createClient(url, { ca, token: other }),
  };
}

interface Outgoing {
  method: string;
  headers: Record<string, string>;
  ca: string | undefined;
  text: string | undefined;
}

function send(url: string, { method, headers, ca, text }: Outgoing): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { method, headers, agent: false, timeout: ANSWER_LIMIT_MS } as const;
    const outgoing = url.startsWith('https:') ? httpsRequest(url, { ...options, ca }, resolve) : httpRequest(url, options, resolve);
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer within ${ANSWER_LIMIT_MS} ms`)));
    outgoing.once('error', reject);
    outgoing.end(text);
  });
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

/** The body of an answer that has to have this status; throws with the whole answer otherwise. */
export function expectStatus<T>(answer: Answer<T>, status: number): T {
  if (answer.status !== status) {
    throw new Error(`the API answered ${answer.status} instead of ${status}: ${JSON.stringify(answer.body)}`);
  }
  return answer.body;
}
