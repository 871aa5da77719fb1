import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** What proves to a holder that a caller belongs to the same control plane. */
export interface RelayKeys {
  /** The bearer token for one node's tunnel at one holder. */
  sign(holderId: string, nodeId: number): string;
  verify(token: string, holderId: string, nodeId: number): boolean;
}

/**
 * Keys derived from secrets that the whole control plane shares (the first signs, all are accepted, so that they can be rotated). A token holds for one
 * node at one holder for as long as that process lives, and needs no clock. Whoever overhears it gets a stream to that node's sshd, and no more.
 */
export function relayKeys(secrets: [string, ...string[]]): RelayKeys {
  const keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'orion tunnel relay', 32)));
  const tokenOf = (key: Buffer, holderId: string, nodeId: number): string => createHmac('sha256', key).update(`${holderId}\n${nodeId}`).digest('base64url');
  return {
    sign: (holderId, nodeId) => tokenOf(keys[0] as Buffer, holderId, nodeId),
    verify: (token, holderId, nodeId) => {
      const shown = Buffer.from(token);
      return keys.some((key) => {
        const right = Buffer.from(tokenOf(key, holderId, nodeId));
        return shown.length === right.length && timingSafeEqual(shown, right);
      });
    },
  };
}
