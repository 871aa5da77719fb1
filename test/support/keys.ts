import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import ssh2 from 'ssh2';
import { ed25519Private, rawPublicKey } from '../../src/lib/raw-keys';

export const sshField = (content: Buffer | string): Buffer => {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

/** Builds an OpenSSH public key line of any type from its wire fields (RFC 4253, section 6.6). */
export const sshKeyLine = (type: string, ...fields: (Buffer | string)[]): string =>
  `${type} ${Buffer.concat([sshField(type), ...fields.map(sshField)]).toString('base64')}`;

const privateHalves = new Map<string, KeyObject>();

/** Creates a unique ed25519 public key. */
export function anSshKey(): string {
  const half = ed25519Private(randomBytes(32));
  const line = sshKeyLine('ssh-ed25519', rawPublicKey(createPublicKey(half)));
  privateHalves.set(line, half);
  return line;
}

/**
 * Creates an Ed25519 key pair in OpenSSH format. About one in 250 of ssh2's key pairs is malformed (17 of 5,000; ssh-keygen rejects them
 * too), so this takes the first readable one.
 */
export function anOpenSshKeyPair(): { public: string; private: string } {
  const pair = ssh2.utils.generateKeyPairSync('ed25519');
  return ssh2.utils.parseKey(pair.private) instanceof Error ? anOpenSshKeyPair() : pair;
}

/** Returns the private half of a key from anSshKey; undefined for any other key. */
export const privateHalfOf = (publicKey: string): KeyObject | undefined => privateHalves.get(publicKey.split(' ').slice(0, 2).join(' '));

const curvePoint = (bytes: number): Buffer => Buffer.concat([Buffer.from([4]), randomBytes(2 * bytes)]);

/** Creates an RSA modulus as an SSH mpint: with a leading zero, because its highest bit is set. */
export const rsaModulus = (bits: number): Buffer => Buffer.concat([Buffer.from([0, 0x80]), randomBytes(bits / 8 - 1)]);

/** One well-formed public key of each type that OpenSSH clients have. */
export const everyKeyType = (): string[] => [
  anSshKey(),
  sshKeyLine('ecdsa-sha2-nistp256', 'nistp256', curvePoint(32)),
  sshKeyLine('ecdsa-sha2-nistp384', 'nistp384', curvePoint(48)),
  sshKeyLine('ecdsa-sha2-nistp521', 'nistp521', curvePoint(66)),
  sshKeyLine('ssh-rsa', Buffer.from([1, 0, 1]), rsaModulus(2048)),
  sshKeyLine('ssh-rsa', Buffer.from([1, 0, 1]), rsaModulus(4096)),
  sshKeyLine('sk-ssh-ed25519@openssh.com', randomBytes(32), 'ssh:'),
  sshKeyLine('sk-ecdsa-sha2-nistp256@openssh.com', 'nistp256', curvePoint(32), 'ssh:'),
];
