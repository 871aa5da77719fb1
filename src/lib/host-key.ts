import { createHash } from 'node:crypto';

/** Returns `SHA256:…` of the blob of a public key, as OpenSSH prints it. */
export function fingerprintOfBlob(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** Returns the same for a line `type base64 [comment]`. */
export function fingerprintOf(publicKeyLine: string): string {
  return fingerprintOfBlob(Buffer.from(publicKeyLine.trim().split(/\s+/)[1] ?? '', 'base64'));
}
