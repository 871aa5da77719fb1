import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';

const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';

/** Returns `length` random characters out of 32 that cannot be misread, with 5 bits each. */
export function randomName(length: number): string {
  let name = '';
  for (let at = 0; at < length; at += 1) {
    name += ALPHABET.charAt(randomInt(ALPHABET.length));
  }
  return name;
}

/** Returns a bearer secret: prefix, then 256 bits. It is shown once; only its SHA-256 is stored. */
export function randomSecret(prefix: string): string {
  return `${prefix}${randomBytes(32).toString('base64url')}`;
}

/** Returns the SHA-256 in hex. Suitable for storing high-entropy secrets, not for passwords. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Returns a fencing token for a claim (see docs/glossary.md). */
export const newClaimToken = (): string => randomUUID();
