import type { AcceptConnection, Channel, Client, Connection, RejectConnection } from 'ssh2';
import { type Join, joinSeated, unlessGone } from './joint';
import type { NodeLink } from './node-link';
import type { NodeConnection } from './node-login';
import { createSeats, type Seats } from './seats';
import type { Forwarding } from './types';

export interface RemoteForwardingDeps {
  link: NodeLink;
  allowed: Forwarding;
  join: Join;
  /** Seats of forwarded connections. */
  seats: Seats;
  maxListeners: number;
}

/** A port or a UNIX socket on which the node listens for `ssh -R`. */
type Listener = { bindAddr: string; bindPort: number } | { socketPath: string };
/** Absent: the client does not want an answer. */
type Accept = ((port?: number) => void) | undefined;
type Reject = (() => void) | undefined;

interface Listening {
  made: NodeConnection;
  leave: () => void;
}

/**
 * Makes the node listen for the client and forwards connections to the client. This ends when the client cancels it or the machine is lost.
 */
export function acceptRemoteForwardings(connection: Connection, deps: RemoteForwardingDeps): void {
  const { link, allowed, maxListeners } = deps;
  const listeners = createSeats(maxListeners);
  const listening = new Map<string, Listening>();
  const answering = new WeakSet<NodeConnection>();

  const begin = async (listener: Listener, accept: Accept, refuse: () => void): Promise<void> => {
    const leave = listeners.take();
    const made = leave ? await link.connect() : null;
    if (!leave || !made || 'refused' in made) {
      leave?.();
      refuse();
      return;
    }
    if (!answering.has(made)) {
      answering.add(made);
      passOn(connection, made, deps);
    }
    void made.lost.then(leave);
    listen(made.client, listener, (error, port) => {
      if (error) {
        leave();
        refuse();
        return;
      }
      const known = port === undefined ? listener : { ...listener, bindPort: port };
      listening.set(keyOf(known), { made, leave });
      unlessGone(() => accept?.(port));
    });
  };

  const cancel = (listener: Listener, accept: Accept, refuse: () => void): void => {
    const found = listening.get(keyOf(listener));
    if (!found) {
      refuse();
      return;
    }
    listening.delete(keyOf(listener));
    found.leave();
    try {
      unlisten(found.made.client, listener, (error) => (error ? refuse() : unlessGone(() => accept?.())));
    } catch {
      refuse();
    }
  };

  connection.on('request', (...[accept, reject, name, info]: [Accept, Reject, string, unknown]) => {
    const refuse = (): void => unlessGone(() => reject?.());
    const listener = info as Listener;
    if (allowed === 'none') {
      refuse();
    } else if (name === 'tcpip-forward' || name === 'streamlocal-forward@openssh.com') {
      begin(listener, accept, refuse).catch(refuse);
    } else {
      cancel(listener, accept, refuse);
    }
  });
}

const keyOf = (listener: Listener): string =>
  'socketPath' in listener ? listener.socketPath : `${listener.bindAddr} ${listener.bindPort}`;

function listen(client: Client, listener: Listener, done: (error: Error | undefined, port?: number) => void): void {
  if ('socketPath' in listener) {
    client.openssh_forwardInStreamLocal(listener.socketPath, (error) => done(error ?? undefined));
  } else {
    client.forwardIn(listener.bindAddr, listener.bindPort, done);
  }
}

function unlisten(client: Client, listener: Listener, done: (error?: Error | null) => void): void {
  if ('socketPath' in listener) {
    client.openssh_unforwardInStreamLocal(listener.socketPath, done);
  } else {
    client.unforwardIn(listener.bindAddr, listener.bindPort, done);
  }
}

type Open = (done: (error: Error | undefined, client: Channel) => void) => void;

function passOn(connection: Connection, { client: machine, stream }: NodeConnection, { join, seats }: RemoteForwardingDeps): void {
  const lead = (accept: AcceptConnection, reject: RejectConnection, open: Open): void => {
    const leave = seats.take();
    if (!leave) {
      reject();
      return;
    }
    const refuse = (): void => {
      leave();
      unlessGone(reject);
    };
    try {
      open((error, client) => {
        const node = error ? undefined : unlessGone(accept);
        if (node) {
          joinSeated({ client, node, stream }, { join, leave });
        } else {
          refuse();
        }
      });
    } catch {
      refuse();
    }
  };
  machine.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) => {
    lead(accept, reject, (done) => connection.forwardOut(destIP, destPort, srcIP, srcPort, done));
  });
  machine.on('unix connection', ({ socketPath }, accept, reject) => {
    lead(accept, reject, (done) => connection.openssh_forwardOutStreamLocal(socketPath, done));
  });
}
