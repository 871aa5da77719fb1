import { createHash } from 'node:crypto';

/** `SHA256:…` as OpenSSH prints it, of the base64 blob of a public key. */
export function fingerprintOfBlob(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** The same for a line `type base64 [comment]`. */
export function fingerprintOf(publicKeyLine: string): string {
  return fingerprintOfBlob(Buffer.from(publicKeyLine.trim().split(/\s+/)[1] ?? '', 'base64'));
}
