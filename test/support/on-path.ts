import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { eventually, type Lab } from '../lab';

export interface PassedAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

export interface PassedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
}

/** An attacker on the network path between agents and an API that they call over plain http. */
export interface OnPath {
  url: string;
  /** All forwarded requests, including those for tunnels. */
  requests: PassedRequest[];
  /** Returns the management keys of the last answer with such keys, as the control plane sent them. */
  management(): Management | undefined;
  /** Returns everything that was sent, in both directions. */
  recording(): string;
  /** Changes each answer with `by` from now on. */
  change(by: (answer: PassedAnswer, asked: PassedRequest) => PassedAnswer): void;
  /** Returns the number of changed answers so far. */
  changed(): number;
}

export async function startOnPath(lab: Lab, target: string): Promise<OnPath> {
  const { hostname, port } = new URL(target);
  const requests: PassedRequest[] = [];
  let said = '';
  let changed = 0;
  let management: Management | undefined;
  let by: ((answer: PassedAnswer, asked: PassedRequest) => PassedAnswer) | undefined;
  const pass = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const asked = { method: req.method ?? '', path: req.url ?? '', headers: req.headers, text: await readAll(req) };
    requests.push(asked);
    const answer = await ask(target, asked);
    management = managementIn(answer) ?? management;
    said += `${JSON.stringify(asked)}\n${JSON.stringify(answer)}\n${asked.text}\n${answer.text}\n`;
    const given = by ? by(answer, asked) : answer;
    changed += given === answer ? 0 : 1;
    res.writeHead(given.status, { ...given.headers, 'content-length': Buffer.byteLength(given.text) }).end(given.text);
  };
  const server = createServer((req, res) => void pass(req, res).catch(() => res.destroy()));
  const sockets = new Set<Socket>();
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    const { method = '', url = '', headers } = req;
    requests.push({ method, path: url, headers, text: '' });
    const lines = Object.entries(headers)
      .map(([name, value]) => `${name}: ${String(value)}\r\n`)
      .join('');
    said += lines;
    const inner = connect({ host: hostname, port: Number(port) }, () =>
      inner.write(Buffer.concat([Buffer.from(`${method} ${url} HTTP/1.1\r\n${lines}\r\n`), head])),
    );
    for (const [from, to] of [
      [inner, socket],
      [socket, inner],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
      from.on('error', () => undefined).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await eventually(() => server.listening, { what: 'the one on the path listens' });
  lab.push('on the path', () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    management: () => management,
    recording: () => said,
    change: (change) => (by = change),
    changed: () => changed,
  };
}

/** Sends the same bytes again. */
export function ask(target: string, { method, path, headers: given, text }: PassedRequest): Promise<PassedAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${target}${path}`,
      { method, headers: { ...given, connection: given.upgrade === undefined ? 'close' : 'upgrade' }, agent: false },
      (response) => {
        const headers = Object.fromEntries(Object.entries(response.headers).filter(([name]) => name !== 'transfer-encoding'));
        readAll(response).then((answer) => resolve({ status: response.statusCode ?? 0, headers, text: answer }), reject);
      },
    );
    sent.on('error', reject);
    sent.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve({ status: 101, headers: {}, text: '' });
    });
    sent.end(text);
  });
}

async function readAll(from: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of from as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

interface Management {
  public_keys: string[];
  statement: { text: string; signature: string };
}

const managementIn = ({ headers, text }: PassedAnswer): Management | undefined =>
  (String(headers['content-type']).includes('json') ? (JSON.parse(text || '{}') as { management?: Management }) : {}).management;

/**
 * Adds a key to those that agents must install, in each answer to a registration or a heartbeat. The statement is changed too: it contains
 * the key and a newer number, but still the old signature.
 */
export const addManagementKey =
  (path: OnPath, publicKey: string) =>
  (answer: PassedAnswer): PassedAnswer => {
    const body = JSON.parse(answer.text || '{}') as { management?: Management; heartbeat_interval_seconds?: number };
    const known = body.management ?? path.management();
    if (!known || body.heartbeat_interval_seconds === undefined) {
      return answer;
    }
    const { public_keys: keys, statement } = known;
    const said = JSON.parse(statement.text) as { public_keys: string[]; serial: number };
    const forged = { ...said, public_keys: [...said.public_keys, publicKey], serial: said.serial + 1 };
    const management = { ...known, public_keys: [...keys, publicKey], statement: { ...statement, text: JSON.stringify(forged) } };
    return { ...answer, text: JSON.stringify({ ...body, management }) };
  };
