import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Transport from the control plane to a node: to its address, or through the tunnel that its agent keeps open. */
export type Reach = 'direct' | 'tunnel';

/** Address of a node's SSH server, and the one host key that it may show (`type base64`). */
export interface SshTarget {
  nodeId: number;
  address: string;
  port: number;
  hostKey: string;
  /** Absent: direct. */
  reach?: Reach;
  /** False: do not wait for a tunnel that is not there now. */
  awaitTunnel?: boolean;
}

/** Opens a stream to a node's SSH port. Rejects when that fails. The stream closes when `signal` aborts. */
export type Dial = (target: SshTarget, signal: AbortSignal) => Promise<Duplex>;

/** Dials the node directly over TCP, without Nagle's delay. ssh2 leaves the delay on, which costs 40 ms per step. */
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

/** Dials each node by the transport of its target. */
export const createDial =
  (tunnel: Dial): Dial =>
  (target, signal) =>
    target.reach === 'tunnel' ? tunnel(target, signal) : dialDirectly(target, signal);
