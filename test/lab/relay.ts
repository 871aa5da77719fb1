import { connect, createServer, type Socket } from 'node:net';
import type { Lab } from './lab';

/** Passes connections from `host`:`port` on to the same port of 127.0.0.1, where the servers of a lab listen. */
export async function startRelay(lab: Lab, { host, port }: { host: string; port: number }): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (outer) => {
    const inner = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const [socket, other] of [[outer, inner], [inner, outer]] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroySoon();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  lab.push(`relay ${host}:${port}`, async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    sockets.forEach((socket) => socket.destroy());
    await closed;
  });
}
