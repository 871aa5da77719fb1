import type { Channel, Client, Connection } from 'ssh2';
import { type Join, joinSeated, unlessGone } from './joint';
import type { NodeLink } from './node-link';
import { acceptRemoteForwardings } from './remote-forwarding';
import { createSeats, type Seats } from './seats';
import { OPEN_FAILURE, type Refuse } from './ssh2-patch';
import { reasonOfEnd, type Forwarding } from './types';

export interface ForwardingDeps {
  leaseId: number;
  link: NodeLink;
  allowed: Forwarding;
  join: Join;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;
/** Forwarded connections of one client at a time, including those that wait for a machine. Also the limit of its listeners. */
const MAX_FORWARDED = 100;
const ONLY_LOCAL = "ORION_GATEWAY_FORWARDING=local: only to the machine's own loopback addresses and UNIX sockets";
const NOTHING = 'ORION_GATEWAY_FORWARDING=none: this gateway forwards nothing';

type Opened = (error: (Error & { reason?: unknown }) | undefined, channel: Channel) => void;

/**
 * Accepts allowed forwardings of ports and UNIX sockets in both directions (`ssh -L` and `ssh -R`). The node's sshd decides last.
 * Forwardings of `-R` end when the machine is lost.
 */
export function acceptForwardings(connection: Connection, deps: ForwardingDeps): void {
  const { allowed } = deps;
  const seats = createSeats(MAX_FORWARDED);
  connection.on('tcpip', (accept, reject, { srcIP, srcPort, destIP, destPort }) => {
    const forbidden = allowed === 'none' ? NOTHING : allowed === 'local' && !LOOPBACK.test(destIP) ? ONLY_LOCAL : undefined;
    lead({ accept, reject, forbidden, seats }, deps, (client, done) => client.forwardOut(srcIP, srcPort, destIP, destPort, done));
  });
  connection.on('openssh.streamlocal', (accept, reject, { socketPath }) => {
    lead({ accept, reject, forbidden: allowed === 'none' ? NOTHING : undefined, seats }, deps, (client, done) =>
      client.openssh_forwardOutStreamLocal(socketPath, done),
    );
  });
  acceptRemoteForwardings(connection, { ...deps, seats, maxListeners: MAX_FORWARDED });
}

interface Wish {
  accept: () => Channel;
  reject: () => void;
  /** Why the settings forbid this forwarding. Undefined: they allow it. */
  forbidden: string | undefined;
  seats: Seats;
}

/** Opens a channel on the node for a channel that the client requested, and joins the two. */
function lead(
  { accept, reject, forbidden, seats }: Wish,
  { leaseId, link, join }: ForwardingDeps,
  open: (client: Client, done: Opened) => void,
): void {
  const refuse: Refuse = (code, reason) => unlessGone(() => (reject as Refuse)(code, reason));
  if (forbidden !== undefined) {
    refuse(OPEN_FAILURE.prohibited, forbidden);
    return;
  }
  const leave = seats.take();
  if (!leave) {
    refuse(OPEN_FAILURE.resourceShortage, `more than ${MAX_FORWARDED} forwarded connections`);
    return;
  }
  const giveUp: Refuse = (code, reason) => {
    leave();
    refuse(code, reason);
  };
  const begin = async (): Promise<void> => {
    const made = await link.connect();
    if (!made || 'refused' in made) {
      giveUp(OPEN_FAILURE.connectFailed, made?.refused ?? reasonOfEnd(leaseId, link.whereabouts()));
      return;
    }
    open(made.client, (error, node) => {
      const client = error ? undefined : unlessGone(accept);
      if (client) {
        joinSeated({ client, node, stream: made.stream }, { join, leave });
      } else {
        giveUp(
          typeof error?.reason === 'number' ? error.reason : OPEN_FAILURE.connectFailed,
          `the machine answers: ${error?.message ?? 'nothing'}`,
        );
      }
    });
  };
  begin().catch(() => giveUp(OPEN_FAILURE.connectFailed, 'the connection to the machine is lost'));
}
