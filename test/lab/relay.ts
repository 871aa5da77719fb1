import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Lab } from './lab';

export interface Place {
  host: string;
  port: number;
}

export interface RelayOptions {
  /** Where it listens; port 0: a free one. */
  at: Place;
  to: Place;
  /** How long what is said takes from one end to the other, as over a long line: as much as is said may be on its way. Default 0. */
  delayMs?: number;
}

/** Passes connections on, until the lab closes. Returns where it listens. */
export async function startRelay(lab: Lab, { at, to, delayMs = 0 }: RelayOptions): Promise<Place> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (outer) => {
    const inner = connect({ ...to, allowHalfOpen: true });
    for (const [socket, other] of [[outer, inner], [inner, outer]] as const) {
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

/** Those of one delay come in the order in which they were asked for. */
function later(ms: number, what: () => void): void {
  if (ms === 0) {
    what();
  } else {
    setTimeout(what, ms).unref();
  }
}
