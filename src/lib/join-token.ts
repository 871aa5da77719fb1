import { createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import { sha256 } from './ids';
import { ed25519Private, ed25519Public, rawPublicKey } from './raw-keys';

/**
 * The two parts of a join token. `orion_join_<secret>` admits a machine, and the fingerprint identifies the control plane to trust. Older
 * tokens have no fingerprint.
 */
export interface JoinTokenParts {
  secret: string;
  fingerprint: string | undefined;
}

/** Proves that the sender of these bytes has a join token, without sending the token. */
export interface JoinProof {
  /** SHA-256 of the token's secret. The control plane finds the token by it. */
  id: string;
  /** base64url. */
  signature: string;
}

const TOKEN = /^(orion_join_[\w-]{43})(?:_([\w-]{43}))?$/;
const PROOF = /^([0-9a-f]{64}):([\w-]{86})$/;

export const JOIN_PROOF_HEADER = 'orion-join-proof';

export function parseJoinToken(text: string): JoinTokenParts | undefined {
  const [, secret, fingerprint] = TOKEN.exec(text) ?? [];
  return secret === undefined ? undefined : { secret, fingerprint };
}

/** Returns the key that the control plane stores for a token's secret. It verifies proofs and cannot make them. 43 characters. */
export const joinPublicKey = (secret: string): string => rawPublicKey(createPublicKey(keyOf(secret))).toString('base64url');

export const proveJoinToken = (secret: string, body: Buffer): string =>
  `${sha256(secret)}:${sign(null, toSign(body), keyOf(secret)).toString('base64url')}`;

export function parseJoinProof(header: string): JoinProof | undefined {
  const [, id, signature] = PROOF.exec(header) ?? [];
  return id === undefined || signature === undefined ? undefined : { id, signature };
}

export const isJoinProof = (publicKey: string, { signature }: JoinProof, body: Buffer): boolean =>
  verify(null, toSign(body), ed25519Public(Buffer.from(publicKey, 'base64url')), Buffer.from(signature, 'base64url'));

const keyOf = (secret: string): KeyObject => ed25519Private(Buffer.from(hkdfSync('sha256', secret, '', 'orion join token', 32)));
const toSign = (body: Buffer): Buffer => Buffer.concat([Buffer.from('orion join v1\n'), body]);
