import ssh2, { type ParsedKey } from 'ssh2';

/** `type base64` of a private key in OpenSSH or PEM format. Throws when it is none, or needs a passphrase. */
export function publicKeyOf(privateKey: string): string {
  const key: ParsedKey | Error = ssh2.utils.parseKey(privateKey);
  if (key instanceof Error) {
    throw new Error(`it is not a usable private key: ${key.message}`);
  }
  if (!key.isPrivateKey()) {
    throw new Error('it holds no private key');
  }
  return `${key.type} ${key.getPublicSSH().toString('base64')}`;
}
