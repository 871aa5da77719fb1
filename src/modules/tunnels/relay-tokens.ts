import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { TunnelHolder } from './types';

/** What a token has to match: a node's tunnel at one holder, which takes its latest announcements. */
export interface Shown {
  holder: Pick<TunnelHolder, 'id' | 'key'>;
  nodeId: number;
  announcements: readonly string[];
}

/**
 * What proves to a holder that a caller belongs to the same control plane: the bearer token for one node's tunnel. Callers read the holder's key and its latest
 * announcement in the database; the key is made anew with each start of the holder, and the announcement changes every few seconds, so the life of a token
 * needs no clock of a process. Whoever overhears a token gets a stream to that node's sshd for that time, and no more. Throws for a holder without a key.
 */
export function relayToken({ id, key, announced }: Pick<TunnelHolder, 'id' | 'key' | 'announced'>, nodeId: number): string {
  if (key === null) {
    throw new Error(`the holder ${id} is of an older release`);
  }
  return mac(key, id, nodeId, announced);
}

export const isRelayToken = (token: string, { holder, nodeId, announcements }: Shown): boolean =>
  announcements.some((announced) => isSame(token, relayToken({ ...holder, announced }, nodeId)));

/**
 * The tokens of the release before, which has no keys of holders and derives its tokens from the key of the access tokens. They do not end. An API takes them from
 * schedulers and gateways of that release, and shows them to APIs of that release, during an update. To be taken out with the next release.
 */
export interface OlderTokens {
  sign(holderId: string, nodeId: number): string;
  verify(token: string, shown: Pick<Shown, 'holder' | 'nodeId'>): boolean;
}

export function olderTokens(secrets: readonly [string, ...string[]]): OlderTokens {
  const [first, ...others] = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'orion tunnel relay', 32))) as [Buffer, ...Buffer[]];
  return {
    sign: (holderId, nodeId) => mac(first, holderId, nodeId),
    verify: (token, { holder, nodeId }) => [first, ...others].some((key) => isSame(token, mac(key, holder.id, nodeId))),
  };
}

const mac = (key: string | Buffer, ...parts: (string | number)[]): string => createHmac('sha256', key).update(parts.join('\n')).digest('base64url');

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
