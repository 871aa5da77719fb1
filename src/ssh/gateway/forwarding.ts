import type { Duplex } from 'node:stream';
import type { Channel, Connection } from 'ssh2';
import type { NodeConnection, NodeLink } from './node-link';
import { takesPackets } from './relay';
import type { Forwarding } from './types';

export interface ForwardingDeps {
  link: NodeLink;
  allowed: Forwarding;
  join: (joint: Joint) => void;
}

/** A channel to the client, one to the node, and what the node's connection goes over. */
export interface Joint {
  client: Channel;
  node: Channel;
  stream: Duplex;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;
/** Forwarded connections of one client at a time, with those that wait for a machine; and as many listeners. */
const MAX_FORWARDED = 100;

/** Port forwardings both ways (`ssh -L` and `ssh -R`), as far as they are allowed. The node's sshd has the last word. Those of `-R` end with the machine. */
export function acceptForwardings(connection: Connection, { link, allowed, join }: ForwardingDeps): void {
  const permits = (host: string): boolean => allowed === 'all' || (allowed === 'local' && LOOPBACK.test(host));
  const seats = createSeats(MAX_FORWARDED);
  const listeners = createSeats(MAX_FORWARDED);

  connection.on('tcpip', (accept, reject, { srcIP, srcPort, destIP, destPort }) => {
    const leave = permits(destIP) ? seats.take() : undefined;
    if (!leave) {
      reject();
      return;
    }
    const refuse = (): void => {
      leave();
      unlessGone(reject);
    };
    const open = async (): Promise<void> => {
      const made = await link.connect();
      if (!made) {
        refuse();
        return;
      }
      made.client.forwardOut(srcIP, srcPort, destIP, destPort, (error, node) => {
        const client = error ? undefined : unlessGone(accept);
        if (client) {
          joinSeated({ client, node, stream: made.stream }, { join, leave });
        } else {
          refuse();
        }
      });
    };
    open().catch(refuse);
  });

  const answering = new WeakSet<NodeConnection>();
  connection.on('request', (...[accept, reject, name, info]) => {
    if (allowed === 'none' || name !== 'tcpip-forward' || !listeners.take()) {
      reject?.();
      return;
    }
    const refuse = (): void => unlessGone(() => reject?.());
    const open = async (): Promise<void> => {
      const made = await link.connect();
      if (!made) {
        refuse();
        return;
      }
      made.client.forwardIn(info.bindAddr, info.bindPort, (error, port) => {
        if (error) {
          refuse();
          return;
        }
        if (!answering.has(made)) {
          answering.add(made);
          passOn(connection, made, { join, seats });
        }
        unlessGone(() => (accept as ((port: number) => void) | undefined)?.(port));
      });
    };
    open().catch(refuse);
  });
}

interface Passing {
  join: ForwardingDeps['join'];
  seats: Seats;
}

function passOn(connection: Connection, { client: machine, stream }: NodeConnection, { join, seats }: Passing): void {
  machine.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) => {
    const leave = seats.take();
    if (!leave) {
      reject();
      return;
    }
    const refuse = (): void => {
      leave();
      unlessGone(reject);
    };
    const opened = (error: Error | undefined, client: Channel): void => {
      const node = error ? undefined : unlessGone(accept);
      if (node) {
        joinSeated({ client, node, stream }, { join, leave });
      } else {
        refuse();
      }
    };
    try {
      connection.forwardOut(destIP, destPort, srcIP, srcPort, opened);
    } catch {
      refuse();
    }
  });
}

function joinSeated(joint: Joint, { join, leave }: { join: ForwardingDeps['join']; leave: () => void }): void {
  joint.client.once('close', leave);
  if (takesPackets(joint.client) && takesPackets(joint.node)) {
    join(joint);
  } else {
    joint.client.close();
    joint.node.close();
  }
}

interface Seats {
  /** How to give it back, any number of times; undefined: all are taken. */
  take(): (() => void) | undefined;
}

function createSeats(count: number): Seats {
  const taken = new Set<object>();
  return {
    take: () => {
      const seat = {};
      return taken.size < count ? (taken.add(seat), () => void taken.delete(seat)) : undefined;
    },
  };
}

/** The SSH library throws when it is to answer somebody who has left meanwhile. */
function unlessGone<T>(answer: () => T): T | undefined {
  try {
    return answer();
  } catch {
    return undefined;
  }
}
