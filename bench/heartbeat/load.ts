import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { perSecond } from '../measure';

export interface Load {
  url: string;
  path: string;
  /** Each call is by another of these. */
  credentials: string[];
  /** Default: each credential goes as a bearer's. */
  authorize?: (credential: string) => string;
  body: string;
  requests: number;
  connections: number;
  /** What each answer has to be. */
  status: 200 | 202;
}

/**
 * Answers per second over kept connections, each call with an Idempotency-Key of its own. A client of few instructions: one for comfort
 * would be most of what is measured. Throws at any other answer.
 */
export async function loadWith({
  url,
  path,
  credentials,
  authorize = (credential) => `Bearer ${credential}`,
  body,
  requests,
  connections,
  status,
}: Load): Promise<number> {
  const { hostname, port } = new URL(url);
  const request = (credential: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: ${authorize(credential)}\r\nIdempotency-Key: ${randomUUID()}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  const open = Array.from({ length: connections }, () => openConnection({ host: hostname, port: Number(port), status }));
  const free = [...open];
  try {
    return await perSecond(requests, connections, async (call) => {
      const connection = free.pop();
      if (!connection) {
        throw new Error('no connection is free');
      }
      await connection.send(request(credentials[call % credentials.length] ?? ''));
      free.push(connection);
    });
  } finally {
    open.forEach(({ close }) => close());
  }
}

interface Connection {
  /** One request; resolves with its answer. */
  send: (request: string) => Promise<void>;
  close: () => void;
}

function openConnection({ host, port, status }: { host: string; port: number; status: number }): Connection {
  const expected = `HTTP/1.1 ${status} `;
  const socket = connect({ host, port, noDelay: true });
  let received = '';
  let done: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const fail = (error: Error): void => done?.reject(error);
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('the connection was closed')));
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
    const head = received.indexOf('\r\n\r\n');
    const length = Number(/^content-length: (\d+)/im.exec(received)?.[1] ?? NaN);
    if (head >= 0 && received.length >= head + 4 + length) {
      if (received.startsWith(expected)) {
        done?.resolve();
      } else {
        fail(new Error(`answered ${received.slice(0, 500)}`));
      }
      received = '';
    }
  });
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        done = { resolve, reject };
        socket.write(request);
      }),
    close: () => void socket.destroy(),
  };
}
