import type { Duplex } from 'node:stream';
import type { Connection } from 'ssh2';
import type { NodeConnection, NodeLink } from './node-link';
import type { Forwarding } from './types';

export interface ForwardingDeps {
  link: NodeLink;
  allowed: Forwarding;
  join: (one: Duplex, other: Duplex) => void;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;

/** Port forwardings both ways (`ssh -L` and `ssh -R`), as far as they are allowed. The node's sshd has the last word. Those of `-R` end with the machine. */
export function acceptForwardings(connection: Connection, { link, allowed, join }: ForwardingDeps): void {
  const permits = (host: string): boolean => allowed === 'all' || (allowed === 'local' && LOOPBACK.test(host));

  connection.on('tcpip', (accept, reject, { srcIP, srcPort, destIP, destPort }) => {
    if (!permits(destIP)) {
      reject();
      return;
    }
    const open = async (): Promise<void> => {
      const made = await link.connect();
      if (!made) {
        reject();
        return;
      }
      made.client.forwardOut(srcIP, srcPort, destIP, destPort, (error, channel) => {
        if (error) {
          reject();
        } else {
          join(accept(), channel);
        }
      });
    };
    open().catch(() => reject());
  });

  const answering = new WeakSet<NodeConnection>();
  connection.on('request', (...[accept, reject, name, info]) => {
    const { bindAddr, bindPort } = info;
    if (allowed === 'none' || name !== 'tcpip-forward') {
      reject?.();
      return;
    }
    const open = async (): Promise<void> => {
      const made = await link.connect();
      if (!made) {
        reject?.();
        return;
      }
      made.client.forwardIn(bindAddr, bindPort, (error, port) => {
        if (error) {
          reject?.();
          return;
        }
        if (!answering.has(made)) {
          answering.add(made);
          passOn(connection, made, join);
        }
        (accept as ((port: number) => void) | undefined)?.(port);
      });
    };
    open().catch(() => reject?.());
  });
}

function passOn(connection: Connection, { client }: NodeConnection, join: ForwardingDeps['join']): void {
  client.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) => {
    try {
      connection.forwardOut(destIP, destPort, srcIP, srcPort, (error, channel) => {
        if (error) {
          reject();
        } else {
          join(accept(), channel);
        }
      });
    } catch {
      reject();
    }
  });
}
