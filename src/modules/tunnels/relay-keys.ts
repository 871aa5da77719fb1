import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { TunnelHolder } from './types';

/** What proves to a holder that a caller belongs to the same control plane. */
export interface RelayKeys {
  /** The bearer token for one node's tunnel at one holder, as the holder was last announced. */
  sign(holder: Pick<TunnelHolder, 'id' | 'announced'>, nodeId: number): string;
  /** The token that a holder of the release before this one takes. It is good for as long as the holder lives. */
  signUndated(holderId: string, nodeId: number): string;
  verify(token: string, shown: { holderId: string; nodeId: number; announcements: readonly string[] }): boolean;
}

/**
 * Keys derived from secrets that the whole control plane shares (the first signs, all are accepted, so that they can be rotated). A token names a node, a
 * holder and one announcement of that holder, which callers read in the database and which is replaced every few seconds: its life needs no process clock.
 * Whoever overhears a token gets a stream to that node's sshd for that time, and no more.
 */
export function relayKeys(secrets: [string, ...string[]]): RelayKeys {
  const derive = (purpose: string): Buffer[] => secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', purpose, 32)));
  const [dated, undated] = [derive('orion tunnel relay, by announcement'), derive('orion tunnel relay')];
  const mac = (key: Buffer, ...parts: (string | number)[]): string => createHmac('sha256', key).update(parts.join('\n')).digest('base64url');
  return {
    sign: ({ id, announced }, nodeId) => mac(dated[0] as Buffer, id, nodeId, announced),
    signUndated: (holderId, nodeId) => mac(undated[0] as Buffer, holderId, nodeId),
    verify: (token, { holderId, nodeId, announcements }) => {
      const right = [
        ...dated.flatMap((key) => announcements.map((announced) => mac(key, holderId, nodeId, announced))),
        // Of schedulers and gateways of the release before; to be taken out with the next one.
        ...undated.map((key) => mac(key, holderId, nodeId)),
      ];
      return right.some((each) => isSame(token, each));
    },
  };
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
