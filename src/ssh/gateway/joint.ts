import type { Duplex } from 'node:stream';
import type { Channel } from 'ssh2';
import { takesPackets } from './relay';

/** A channel to the client, one to the node, and what the node's connection goes over. */
export interface Joint {
  client: Channel;
  node: Channel;
  stream: Duplex;
}

export type Join = (joint: Joint) => void;

/** Joins the two channels, unless a peer wants its packets too small. `leave` gives the forwarded connection's seat back. */
export function joinSeated(joint: Joint, { join, leave }: { join: Join; leave: () => void }): void {
  joint.client.once('close', leave);
  if (takesPackets(joint.client) && takesPackets(joint.node)) {
    join(joint);
  } else {
    joint.client.close();
    joint.node.close();
  }
}

/** The SSH library throws when it is to answer a client that has left meanwhile. */
export function unlessGone<T>(answer: () => T): T | undefined {
  try {
    return answer();
  } catch {
    return undefined;
  }
}
