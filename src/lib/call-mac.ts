import { createHmac, timingSafeEqual } from 'node:crypto';
import { sha256 } from './ids';

/**
 * The authenticated parts of a node's call. Calls and their answers have an HMAC, over http as over https. Its key is the SHA-256 of the
 * node's credential. The credential is never sent. The first 96 bits of its hash are sent as the key id, and the other 160 bits stay
 * secret. A call has `Authorization: Orion-MAC <key id>:<nonce>:<mac>`, and an answer has `Orion-MAC: <mac>`.
 */
export interface MacCall {
  method: string;
  path: string;
  /** Chosen by the caller, or a challenge of the control plane where a call must not be repeated. */
  nonce: string;
  body: Buffer | string;
}

/** The MAC in a call, not verified yet. */
export interface ShownMac {
  keyId: string;
  nonce: string;
  mac: string;
}

/** Authenticates one answer to the caller. Returns the value of the Orion-MAC header. */
export type Seal = (status: number, text: string) => string;

export const MAC_HEADER = 'Orion-MAC';
const AUTHORIZATION = /^Orion-MAC ([0-9a-f]{24}):([\w.-]{8,200}):([\w-]{43})$/;

/** Returns the id of a key. The database computes the same in `nodes.credential_id`. */
export const keyIdOf = (credentialHash: string): string => credentialHash.slice(0, 24);

/** Returns the value of the Authorization header. */
export function authorizeCall(credential: string, call: MacCall): string {
  const hash = sha256(credential);
  return `Orion-MAC ${keyIdOf(hash)}:${call.nonce}:${macOfCall(hash, call)}`;
}

export function parseAuthorization(header: string | undefined): ShownMac | undefined {
  const [, keyId = '', nonce = '', mac = ''] = AUTHORIZATION.exec(header ?? '') ?? [];
  return keyId === '' ? undefined : { keyId, nonce, mac };
}

export const isCallOf = (credentialHash: string, call: MacCall, mac: string): boolean => isSame(macOfCall(credentialHash, call), mac);

export const createSeal =
  (credentialHash: string, nonce: string): Seal =>
  (status, text) =>
    macOf(credentialHash, `answer v1\n${nonce}\n${status}\n`, text);

export const isSealed = (
  credential: string,
  { nonce, status, text }: { nonce: string; status: number; text: string },
  mac: string,
): boolean => isSame(createSeal(sha256(credential), nonce)(status, text), mac);

const macOfCall = (credentialHash: string, { method, path, nonce, body }: MacCall): string =>
  macOf(credentialHash, `call v1\n${method}\n${path}\n${nonce}\n`, body);

const macOf = (credentialHash: string, head: string, body: Buffer | string): string =>
  createHmac('sha256', Buffer.from(credentialHash, 'hex')).update(`orion ${head}`).update(body).digest('base64url');

function isSame(right: string, shown: string): boolean {
  const [a, b] = [Buffer.from(right), Buffer.from(shown)];
  return a.length === b.length && timingSafeEqual(a, b);
}
