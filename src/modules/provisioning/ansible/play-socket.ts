import { createServer, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { joinStreams } from '../../../lib/join-streams';
import type { Dial, SshTarget } from '../../../ssh';
import { listenIn } from './listen-in';

/** A UNIX socket in the private folder of a play. Each connection to it is connected to the node. */
export interface PlaySocket {
  close(): Promise<void>;
}

/**
 * Listens at `path` until closed. If the node cannot be reached, the connection is closed, and ssh reports that as a refused connection.
 */
export async function openPlaySocket(path: string, dial: Dial, target: SshTarget): Promise<PlaySocket> {
  const over = new AbortController();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    dial(target, over.signal).then(
      (stream) => joinStreams(socket, stream),
      () => socket.destroy(),
    );
  });
  await listenIn(server, dirname(path), basename(path));
  return {
    close: async () => {
      over.abort();
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
