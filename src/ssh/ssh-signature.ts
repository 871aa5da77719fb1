import { createHash, verify } from 'node:crypto';
import ssh2 from 'ssh2';

/** Key type and hash of each signature algorithm. */
const ALGORITHMS: Record<string, { keyType: string; hash: string | null; coordinateBytes?: number }> = {
  'ssh-ed25519': { keyType: 'ssh-ed25519', hash: null },
  'rsa-sha2-256': { keyType: 'ssh-rsa', hash: 'sha256' },
  'rsa-sha2-512': { keyType: 'ssh-rsa', hash: 'sha512' },
  'ecdsa-sha2-nistp256': { keyType: 'ecdsa-sha2-nistp256', hash: 'sha256', coordinateBytes: 32 },
  'ecdsa-sha2-nistp384': { keyType: 'ecdsa-sha2-nistp384', hash: 'sha384', coordinateBytes: 48 },
  'ecdsa-sha2-nistp521': { keyType: 'ecdsa-sha2-nistp521', hash: 'sha512', coordinateBytes: 66 },
};
const HASHES = ['sha256', 'sha512'];
const NONE = Buffer.alloc(0);
const MAGIC = Buffer.from('SSHSIG');
const VERSION = Buffer.from([0, 0, 0, 1]);

export interface SshSignature {
  namespace: string;
  message: Buffer;
  /** Base64 output of `ssh-keygen -Y sign`, without the lines around it. */
  signature: string;
}

/**
 * Verifies that the private key of `publicKey` (`type base64`) made this signature (OpenSSH's PROTOCOL.sshsig). Returns false for any
 * invalid input.
 */
export function isSignedBySshKey(publicKey: string, { namespace, message, signature }: SshSignature): boolean {
  try {
    const [key = NONE, shown = NONE, reserved = NONE, hash = NONE, inner = NONE] = readSignature(Buffer.from(signature, 'base64'));
    if (key.toString('base64') !== publicKey.split(' ')[1] || shown.toString() !== namespace || !HASHES.includes(hash.toString())) {
      return false;
    }
    const digest = createHash(hash.toString()).update(message).digest();
    return verifies(publicKey, Buffer.concat([MAGIC, ...[shown, reserved, hash, digest].map(field)]), readFields(inner));
  } catch {
    return false;
  }
}

function verifies(publicKey: string, signed: Buffer, [algorithm, value]: Buffer[]): boolean {
  const known = ALGORITHMS[algorithm?.toString() ?? ''];
  const key = ssh2.utils.parseKey(publicKey);
  if (!known || !value || key instanceof Error || key.type !== known.keyType) {
    return false;
  }
  const pem = key.getPublicPEM();
  const { hash, coordinateBytes } = known;
  return coordinateBytes === undefined
    ? verify(hash, signed, pem, value)
    : verify(
        hash,
        signed,
        { key: pem, dsaEncoding: 'ieee-p1363' },
        Buffer.concat(readFields(value).map((number) => padded(number, coordinateBytes))),
      );
}

/** Reads magic, version and fields. Throws for any other input. */
function readSignature(blob: Buffer): Buffer[] {
  const head = Buffer.concat([MAGIC, VERSION]);
  if (!blob.subarray(0, head.length).equals(head)) {
    throw new Error('it is no SSH signature');
  }
  return readFields(blob.subarray(head.length));
}

/** Reads length-prefixed strings (RFC 4251, section 5). */
function readFields(blob: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at < blob.length;) {
    const length = blob.readUInt32BE(at);
    if (at + 4 + length > blob.length) {
      throw new Error('it is cut off');
    }
    fields.push(blob.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields;
}

function field(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

/** Pads a number to a fixed length. An SSH number is as short as possible, with a zero byte before a set highest bit. */
function padded(number: Buffer, bytes: number): Buffer {
  const bare = number.subarray(Math.max(0, number.length - bytes));
  return Buffer.concat([Buffer.alloc(bytes - bare.length), bare]);
}
