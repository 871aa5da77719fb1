import { generateKeyPairSync, sign } from 'node:crypto';
import { rawPublicKey } from '../../src/lib/raw-keys';
import { sshKeyLine } from './keys';

/** A key that signs heads of an audit log. */
export interface LogSigner {
  publicKey: string;
  sign: (data: Buffer) => string;
}

export function aLogKey(): LogSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: sshKeyLine('ssh-ed25519', rawPublicKey(publicKey)),
    sign: (data) => sign(null, data, privateKey).toString('base64url'),
  };
}
