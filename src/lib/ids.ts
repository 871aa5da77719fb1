import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';

const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';

/** `length` characters out of 32 that cannot be misread; 5 bits each. */
export function randomName(length: number): string {
  let name = '';
  for (let at = 0; at < length; at += 1) {
    name += ALPHABET.charAt(randomInt(ALPHABET.length));
  }
  return name;
}

/** A bearer secret: prefix, then 256 bits. Shown once; only its SHA-256 is stored. */
export function randomSecret(prefix: string): string {
  return `${prefix}${randomBytes(32).toString('base64url')}`;
}

/** Hex SHA-256: right for storing high-entropy secrets, wrong for passwords. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The token that proves a claim (see docs/glossary.md). */
export const newClaimToken = (): string => randomUUID();
