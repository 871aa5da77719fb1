import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { TunnelOwner } from './types';

/** The values that a token must match: a node's tunnel at one owner, and one of the announcements that the owner accepts. */
export interface Shown {
  owner: Pick<TunnelOwner, 'id' | 'key'>;
  nodeId: number;
  announcements: readonly string[];
}

/**
 * Builds the bearer token for one node's tunnel. It proves to the owner of the tunnel that the caller belongs to the same control plane.
 * Callers read the owner's key and its latest announcement from the database. The key is new with each start of the owner, and the
 * announcement changes every few seconds. So a token's lifetime depends on no process's clock. A stolen token gives a stream to that node's
 * sshd for that time, and nothing else. Throws for an owner without a key.
 */
export function relayToken({ id, key, announced }: Pick<TunnelOwner, 'id' | 'key' | 'announced'>, nodeId: number): string {
  if (key === null) {
    throw new Error(`the owner ${id} is of an older release`);
  }
  return mac(key, id, nodeId, announced);
}

export const isRelayToken = (token: string, { owner, nodeId, announcements }: Shown): boolean =>
  announcements.some((announced) => isSame(token, relayToken({ ...owner, announced }, nodeId)));

/**
 * The tokens of the previous release, which has no keys of owners and derives its tokens from the key of the access tokens. They do not
 * expire. During an update, an API accepts them from schedulers and gateways of that release, and sends them to APIs of that release. To be
 * removed with the next release.
 */
export interface OlderTokens {
  sign(ownerId: string, nodeId: number): string;
  verify(token: string, shown: Pick<Shown, 'owner' | 'nodeId'>): boolean;
}

export function olderTokens(secrets: readonly [string, ...string[]]): OlderTokens {
  const [first, ...others] = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'orion tunnel relay', 32))) as [
    Buffer,
    ...Buffer[],
  ];
  return {
    sign: (ownerId, nodeId) => mac(first, ownerId, nodeId),
    verify: (token, { owner, nodeId }) => [first, ...others].some((key) => isSame(token, mac(key, owner.id, nodeId))),
  };
}

const mac = (key: string | Buffer, ...parts: (string | number)[]): string =>
  createHmac('sha256', key).update(parts.join('\n')).digest('base64url');

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
