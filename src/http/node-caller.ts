import type { Knex } from 'knex';
import { createSeal, isCallOf, keyIdOf, type MacCall, parseAuthorization, type Seal } from '../lib/call-mac';
import { sha256 } from '../lib/ids';
import { findNodeByKeyId, type Node } from '../modules/nodes';

/** The node that made a call. */
export interface NodeCaller {
  node: Node;
  /** What a call by HMAC has, and one of an agent of the release before has not. */
  mac: { nonce: string; seal: Seal } | undefined;
}

/** What a call shows of its sender. */
export interface ShownNode {
  /** Of the credential. */
  keyId: string;
  isFrom: (credentialHash: string) => boolean;
  /** Undefined for a bearer credential, by which agents of the release before call. */
  nonce: string | undefined;
}

/** Undefined: the call shows no credential of either form. */
export function readShownNode(authorization: string | undefined, call: Omit<MacCall, 'nonce'>): ShownNode | undefined {
  const shown = parseAuthorization(authorization);
  if (shown) {
    const { keyId, nonce, mac } = shown;
    return { keyId, nonce, isFrom: (hash) => isCallOf(hash, { ...call, nonce }, mac) };
  }
  const credential = /^Bearer (\S{1,512})$/i.exec(authorization ?? '')?.[1];
  if (credential === undefined) {
    return undefined;
  }
  const hash = sha256(credential);
  return { keyId: keyIdOf(hash), nonce: undefined, isFrom: (stored) => stored === hash };
}

/** The node that this call is from, whatever its status; undefined for nobody's. */
export async function findNodeCaller(db: Knex, { keyId, nonce, isFrom }: ShownNode): Promise<NodeCaller | undefined> {
  const found = await findNodeByKeyId(db, keyId);
  if (!found || !isFrom(found.credentialHash)) {
    return undefined;
  }
  return { node: found.node, mac: nonce === undefined ? undefined : { nonce, seal: createSeal(found.credentialHash, nonce) } };
}
