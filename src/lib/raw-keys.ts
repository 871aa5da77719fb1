import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

/** DER bytes before the 32 bytes of a key (RFC 8410). */
const PRIVATE_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');
const PUBLIC_X25519 = Buffer.from('302a300506032b656e032100', 'hex');
const KEY_BYTES = 32;

/** Returns the 32 bytes of a public key of either curve. */
export const rawPublicKey = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);

export const ed25519Private = (seed: Buffer): KeyObject =>
  createPrivateKey({ key: whole(PRIVATE_ED25519, seed), format: 'der', type: 'pkcs8' });
export const ed25519Public = (raw: Buffer): KeyObject => createPublicKey({ key: whole(PUBLIC_ED25519, raw), format: 'der', type: 'spki' });
export const x25519Public = (raw: Buffer): KeyObject => createPublicKey({ key: whole(PUBLIC_X25519, raw), format: 'der', type: 'spki' });

function whole(prefix: Buffer, key: Buffer): Buffer {
  if (key.length !== KEY_BYTES) {
    throw new Error(`a key has ${KEY_BYTES} bytes, not ${key.length}`);
  }
  return Buffer.concat([prefix, key]);
}
