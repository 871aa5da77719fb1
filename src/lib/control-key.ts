import { createHash, verify } from 'node:crypto';
import { ed25519Public } from './raw-keys';

/** What the control key signs. The context is part of what is signed, so that a signature for one purpose is good for no other. */
export type ControlContext = 'management v1' | 'registration v1' | 'successor v1';

/** A text that the control key signed, as it travels. */
export interface SignedText {
  text: string;
  /** base64url. */
  signature: string;
}

export const textToSign = (context: ControlContext, text: string): Buffer => Buffer.from(`orion ${context}\n${text}`);

/** What the answer to an enrolment has signed: both halves of the key agreement, and the challenge that makes them new. */
export const registrationText = ({ challenge, agentKey, serverKey }: { challenge: string; agentKey: string; serverKey: string }): string => `${challenge}\n${agentKey}\n${serverKey}`;

const FINGERPRINT = /^[\w-]{43}$/;
/** An SSH public key of Ed25519 is its type and 32 bytes, each with its length before it (RFC 8709). */
const BLOB_HEAD = Buffer.from('0000000b7373682d6564323535313900000020', 'hex');

/** Fingerprint of a control key `ssh-ed25519 base64`: 43 characters, those of `ssh-keygen -l` in the alphabet of URLs. */
export const controlFingerprint = (publicKey: string): string => createHash('sha256').update(blobOf(publicKey)).digest('base64url');

/** The same from what a person or `ssh-keygen -l` writes (`SHA256:…`); undefined when it is none. */
export function parseControlFingerprint(text: string): string | undefined {
  const fingerprint = text.trim().replace(/^SHA256:/, '').replaceAll('+', '-').replaceAll('/', '_');
  return FINGERPRINT.test(fingerprint) ? fingerprint : undefined;
}

/** Whether the control key `ssh-ed25519 base64` signed this text for this purpose. False, too, for what is no key or no signature. */
export function isSignedByControlKey(publicKey: string, context: ControlContext, { text, signature }: SignedText): boolean {
  const blob = blobOf(publicKey);
  if (!blob.subarray(0, BLOB_HEAD.length).equals(BLOB_HEAD) || blob.length !== BLOB_HEAD.length + 32) {
    return false;
  }
  return verify(null, textToSign(context, text), ed25519Public(blob.subarray(BLOB_HEAD.length)), Buffer.from(signature, 'base64url'));
}

const blobOf = (publicKey: string): Buffer => Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
