import type { Duplex } from 'node:stream';
import type { Channel } from 'ssh2';
import { takesPackets } from './relay';

/** A channel to the client, a channel to the node, and the stream below the node's connection. */
export interface Joint {
  client: Channel;
  node: Channel;
  stream: Duplex;
}

export type Join = (joint: Joint) => void;

/** Joins the two channels, unless a peer wants packets that are too small. `leave` returns the seat of the forwarded connection. */
export function joinSeated(joint: Joint, { join, leave }: { join: Join; leave: () => void }): void {
  joint.client.once('close', leave);
  if (takesPackets(joint.client) && takesPackets(joint.node)) {
    join(joint);
  } else {
    joint.client.close();
    joint.node.close();
  }
}

/** Calls `answer` and ignores its error: the SSH library throws when the client has disconnected meanwhile. */
export function unlessGone<T>(answer: () => T): T | undefined {
  try {
    return answer();
  } catch {
    return undefined;
  }
}
