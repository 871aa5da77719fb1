import { sign } from 'node:crypto';
import ssh2, { type ParsedKey } from 'ssh2';

/** Returns `type base64` of a private key in OpenSSH or PEM format. Throws when the text is no such key, or needs a passphrase. */
export function publicKeyOf(privateKey: string): string {
  return lineOf(parsePrivateKey(privateKey));
}

/** A key that signs for the control plane. */
export interface SigningKey {
  /** `ssh-ed25519 base64`. */
  publicKey: string;
  /** base64url. */
  sign(data: Buffer): string;
}

/** Reads a private Ed25519 key in OpenSSH format. Throws when the text is no such key, or needs a passphrase. */
export function signingKeyOf(privateKey: string): SigningKey {
  const key = parsePrivateKey(privateKey);
  if (key.type !== 'ssh-ed25519') {
    throw new Error(`it is a key of type ${key.type}, and has to be ed25519: ssh-keygen -t ed25519`);
  }
  return { publicKey: lineOf(key), sign: (data) => sign(null, data, key.getPrivatePEM()).toString('base64url') };
}

function parsePrivateKey(privateKey: string): ParsedKey {
  const key: ParsedKey | Error = ssh2.utils.parseKey(privateKey);
  if (key instanceof Error) {
    throw new Error(`it is not a usable private key: ${key.message}`);
  }
  if (!key.isPrivateKey()) {
    throw new Error('it holds no private key');
  }
  return key;
}

const lineOf = (key: ParsedKey): string => `${key.type} ${key.getPublicSSH().toString('base64')}`;
