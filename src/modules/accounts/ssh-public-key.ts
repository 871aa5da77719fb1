import { OrionError } from '../../lib/errors';
import { fingerprintOfBlob } from '../../lib/host-key';

const KEY_TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
];
const MIN_RSA_MODULUS_BYTES = 255;
const MAX_LENGTH = 4000;

export interface SshPublicKey {
  /** `type base64`: no options and no comment. The key itself is the only part that a stranger chose. */
  line: string;
  fingerprint: string;
  comment: string;
}

const refuse = (why: string): never => {
  throw new OrionError(
    'invalid_request',
    `That is not a usable OpenSSH public key: ${why}. Send the one line of a .pub file, such as ~/.ssh/id_ed25519.pub.`,
  );
};

/** Reads the length-prefixed strings of an SSH wire blob (RFC 4251, section 5). Throws when the blob is cut off or has a tail. */
function readFields(blob: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at < blob.length;) {
    const length = at + 4 <= blob.length ? blob.readUInt32BE(at) : Number.MAX_SAFE_INTEGER;
    if (at + 4 + length > blob.length) {
      return refuse('it is cut off');
    }
    fields.push(blob.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields;
}

function checkFields(type: string, [name, ...fields]: Buffer[]): void {
  if (name?.toString('latin1') !== type || fields.length === 0) {
    refuse('its two halves do not agree');
  }
  checkLength(type, fields);
}

function checkLength(type: string, fields: Buffer[]): void {
  if (type === 'ssh-rsa' && (fields[1]?.length ?? 0) < MIN_RSA_MODULUS_BYTES) {
    refuse('RSA keys need at least 2048 bits');
  }
  if (type === 'ssh-ed25519' && fields[0]?.length !== 32) {
    refuse('an ed25519 key has 32 bytes');
  }
}

/**
 * Parses a text that may become a line of an authorized_keys file. Throws `invalid_request` for anything that is not exactly one plain key.
 */
export function parseSshPublicKey(text: string): SshPublicKey {
  const trimmed = text.trim();
  if (trimmed.length > MAX_LENGTH) {
    return refuse('it is too long');
  }
  if (/[^\x20-\x7e]/.test(trimmed)) {
    return refuse('it has more than one line or characters that do not belong there');
  }
  const [type = '', encoded = '', ...comment] = trimmed.split(/ +/);
  if (!KEY_TYPES.includes(type)) {
    return refuse('it must begin with a key type such as ssh-ed25519, without options');
  }
  const blob = Buffer.from(encoded, 'base64');
  if (blob.toString('base64') !== encoded) {
    return refuse('its second word is not base64');
  }
  checkFields(type, readFields(blob));
  return { line: `${type} ${encoded}`, fingerprint: fingerprintOfBlob(blob), comment: comment.join(' ').slice(0, 64) };
}
