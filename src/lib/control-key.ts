import { createHash, verify } from 'node:crypto';
import { ed25519Public } from './raw-keys';

/**
 * Purposes of signatures by the control key. The context is part of the signed data, so a signature for one purpose is not valid for
 * another.
 */
export type ControlContext = 'management v1' | 'registration v1' | 'successor v1';

/** A text that the control key signed, as it is sent. */
export interface SignedText {
  text: string;
  /** base64url. */
  signature: string;
}

export const textToSign = (context: ControlContext, text: string): Buffer => Buffer.from(`orion ${context}\n${text}`);

/**
 * Returns the text that is signed in the answer to an enrolment: both public keys of the key agreement, and the challenge that makes them
 * new.
 */
export const registrationText = ({ challenge, agentKey, serverKey }: { challenge: string; agentKey: string; serverKey: string }): string =>
  `${challenge}\n${agentKey}\n${serverKey}`;

const FINGERPRINT = /^[\w-]{43}$/;
/** Beginning of an Ed25519 public key in SSH format. The key is its type and 32 bytes, each with its length before it (RFC 8709). */
const BLOB_HEAD = Buffer.from('0000000b7373682d6564323535313900000020', 'hex');

/** Returns the fingerprint of a control key `ssh-ed25519 base64`: 43 characters, as `ssh-keygen -l` prints them, but in base64url. */
export const controlFingerprint = (publicKey: string): string => createHash('sha256').update(blobOf(publicKey)).digest('base64url');

/** Parses a fingerprint that a person or `ssh-keygen -l` wrote (`SHA256:…`). Undefined: the text is no fingerprint. */
export function parseControlFingerprint(text: string): string | undefined {
  const fingerprint = text
    .trim()
    .replace(/^SHA256:/, '')
    .replaceAll('+', '-')
    .replaceAll('/', '_');
  return FINGERPRINT.test(fingerprint) ? fingerprint : undefined;
}

/**
 * Verifies that the control key `ssh-ed25519 base64` signed this text for this purpose. Returns false for an invalid key or signature, too.
 */
export function isSignedByControlKey(publicKey: string, context: ControlContext, { text, signature }: SignedText): boolean {
  const blob = blobOf(publicKey);
  if (!blob.subarray(0, BLOB_HEAD.length).equals(BLOB_HEAD) || blob.length !== BLOB_HEAD.length + 32) {
    return false;
  }
  return verify(null, textToSign(context, text), ed25519Public(blob.subarray(BLOB_HEAD.length)), Buffer.from(signature, 'base64url'));
}

const blobOf = (publicKey: string): Buffer => Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
