import { createHash } from 'node:crypto';
import { sshField } from './keys';

/**
 * Builds a signature in the format of `ssh-keygen -Y sign -n orion-register`. `sign` makes the inner signature, in the format of the key's
 * type.
 */
export function sshSignature(publicKey: string, message: Buffer, sign: (signed: Buffer) => Buffer): string {
  const [type = '', blob = ''] = publicKey.split(' ');
  const fields = [Buffer.from('orion-register'), Buffer.alloc(0), Buffer.from('sha512')];
  const signed = Buffer.concat([Buffer.from('SSHSIG'), ...[...fields, createHash('sha512').update(message).digest()].map(sshField)]);
  const inner = Buffer.concat([sshField(type), sshField(sign(signed))]);
  return Buffer.concat([
    Buffer.from('SSHSIG'),
    Buffer.from([0, 0, 0, 1]),
    ...[Buffer.from(blob, 'base64'), ...fields, inner].map(sshField),
  ]).toString('base64');
}
