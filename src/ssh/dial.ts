import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** How the control plane gets to a node: over its address, or through the tunnel that its agent keeps open. */
export type Reach = 'direct' | 'tunnel';

/** Where a node's SSH server is, and the one host key it may show (`type base64`). */
export interface SshTarget {
  nodeId: number;
  address: string;
  port: number;
  hostKey: string;
  /** Absent: direct. */
  reach?: Reach;
  /** False: a tunnel that is not there at this moment is not waited for. */
  awaitTunnel?: boolean;
}

/** A stream to a node's SSH port. Rejects when there is none; closes when `signal` aborts. */
export type Dial = (target: SshTarget, signal: AbortSignal) => Promise<Duplex>;

/** Dials the node directly over TCP, without Nagle's delay (ssh2 leaves it on, which costs 40 ms a step). */
export const dialDirectly: Dial = (target, signal) =>
  new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: target.address, port: target.port, noDelay: true, keepAlive: true });
    const abort = (): void => void socket.destroy(new Error('aborted'));
    if (signal.aborted) {
      abort();
    }
    signal.addEventListener('abort', abort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', abort));
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => undefined);
  });

/** Dials each node the way that its target says. */
export const createDial =
  (tunnel: Dial): Dial =>
  (target, signal) =>
    target.reach === 'tunnel' ? tunnel(target, signal) : dialDirectly(target, signal);
