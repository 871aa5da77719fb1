import { createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import { sha256 } from './ids';
import { ed25519Private, ed25519Public, rawPublicKey } from './raw-keys';

/** A join token's two parts: `orion_join_<secret>` lets a machine in, the fingerprint tells it which control plane to believe. Tokens of before have no fingerprint. */
export interface JoinTokenParts {
  secret: string;
  fingerprint: string | undefined;
}

/** Shows that its sender holds a join token, for the bytes that go with it and no others, without telling the token. */
export interface JoinProof {
  /** SHA-256 of the token's secret: where the control plane finds it. */
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

/** What a control plane keeps of a token's secret: it verifies proofs, and makes none. 43 characters. */
export const joinPublicKey = (secret: string): string => rawPublicKey(createPublicKey(keyOf(secret))).toString('base64url');

export const proveJoinToken = (secret: string, body: Buffer): string => `${sha256(secret)}:${sign(null, toSign(body), keyOf(secret)).toString('base64url')}`;

export function parseJoinProof(header: string): JoinProof | undefined {
  const [, id, signature] = PROOF.exec(header) ?? [];
  return id === undefined || signature === undefined ? undefined : { id, signature };
}

export const isJoinProof = (publicKey: string, { signature }: JoinProof, body: Buffer): boolean =>
  verify(null, toSign(body), ed25519Public(Buffer.from(publicKey, 'base64url')), Buffer.from(signature, 'base64url'));

const keyOf = (secret: string): KeyObject => ed25519Private(Buffer.from(hkdfSync('sha256', secret, '', 'orion join token', 32)));
const toSign = (body: Buffer): Buffer => Buffer.concat([Buffer.from('orion join v1\n'), body]);
