import ssh2 from 'ssh2';

/** `type base64` of a private key in OpenSSH or PEM format. Throws when it is none, or needs a passphrase. */
export function publicKeyOf(privateKey: string): string {
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error) {
    throw new Error(`it is not a usable private key: ${parsed.message}`);
  }
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (!key?.isPrivateKey()) {
    throw new Error('it holds no private key');
  }
  return `${key.type} ${key.getPublicSSH().toString('base64')}`;
}
