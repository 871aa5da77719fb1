const KEY_TYPES = new Set([
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
]);
const MAX_LENGTH = 16_384;

/**
 * Parses one OpenSSH public key line, and returns `type base64` without the comment. Returns undefined for anything but a single key of a
 * known type: several lines, options before the type, or a blob that contains another type.
 */
export function normalisePublicKey(line: string): string | undefined {
  const text = line.trim();
  const match = /^([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [\x20-\x7e]*)?$/.exec(text);
  const [, type = '', base64 = ''] = match ?? [];
  if (text.length > MAX_LENGTH || !KEY_TYPES.has(type)) {
    return undefined;
  }
  const blob = Buffer.from(base64, 'base64');
  const named = blob.length > 4 ? blob.subarray(4, 4 + blob.readUInt32BE(0)).toString('latin1') : '';
  return named === type && blob.length > 4 + type.length + 4 ? `${type} ${base64}` : undefined;
}
