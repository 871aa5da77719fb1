import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Lab } from './lab';

export interface Place {
  host: string;
  port: number;
}

export interface RelayOptions {
  /** Where the relay listens; port 0 means a free port. */
  at: Place;
  to: Place;
  /** Delay of each chunk in both directions, like a long line: any amount of data can be in flight. Default 0. */
  delayMs?: number;
}

/** Forwards connections until the lab closes. Returns where it listens. */
export async function startRelay(lab: Lab, { at, to, delayMs = 0 }: RelayOptions): Promise<Place> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (outer) => {
    const inner = connect({ ...to, allowHalfOpen: true });
    for (const [socket, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        later(delayMs, () => other.destroySoon());
      });
      carry(socket, other, delayMs);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.port, at.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  lab.push(`relay ${at.host}:${port}`, async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    sockets.forEach((socket) => socket.destroy());
    await closed;
  });
  return { host: at.host, port };
}

function carry(from: Socket, to: Socket, delayMs: number): void {
  if (delayMs === 0) {
    from.pipe(to);
    return;
  }
  from.on('data', (chunk) => later(delayMs, () => to.write(chunk)));
  from.on('end', () => later(delayMs, () => to.end()));
}

/** Calls `what` after a delay. Calls with the same delay run in the order of their requests. */
function later(ms: number, what: () => void): void {
  if (ms === 0) {
    what();
  } else {
    setTimeout(what, ms).unref();
  }
}
