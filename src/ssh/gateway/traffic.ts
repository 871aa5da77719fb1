import type { Socket } from 'node:net';

/** Counts the bytes of the sockets of a gateway, those that have closed included. */
export interface Traffic {
  watch(socket: Socket): void;
  total(): { received: number; sent: number };
}

/** Creates the counter. Open sockets are counted as well, because a gateway session may last for hours. */
export function createTraffic(): Traffic {
  const open = new Set<Socket>();
  const sum = { received: 0, sent: 0 };
  const add = (to: typeof sum, { bytesRead, bytesWritten }: Socket): typeof sum => {
    to.received += bytesRead;
    to.sent += bytesWritten;
    return to;
  };
  return {
    watch: (socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket) && add(sum, socket));
    },
    total: () => [...open].reduce(add, { ...sum }),
  };
}
