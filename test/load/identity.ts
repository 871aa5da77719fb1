import { createECDH, createHash, sign } from 'node:crypto';
import { sha256 } from '../../src/lib/ids';
import { sshField, sshKeyLine } from '../support/keys';
import { sshSignature } from '../support/ssh-signature';

/**
 * What a simulated node is known by. It follows from the fleet's secret and the node's number, so that no process has to keep or pass on
 * 100,000 keys.
 */
export interface Identity {
  hostname: string;
  address: string;
  /** `type base64`. */
  hostKey: string;
  credential: string;
}

/** The fleet is at 127.100.0.0 and above: nothing else of the tests is there. */
const FIRST_NETWORK = 100;
const PER_NETWORK = 65_536;
export const MAX_NODES = 10 * PER_NETWORK;

export const addressOf = (node: number): string =>
  `127.${FIRST_NETWORK + Math.floor(node / PER_NETWORK)}.${Math.floor(node / 256) % 256}.${node % 256}`;

/** The node at this address; undefined when it is none of a fleet's. */
export function nodeAt(address: string): number | undefined {
  const [, network, high, low] = (/^(?:::ffff:)?127\.(\d+)\.(\d+)\.(\d+)$/.exec(address) ?? []).map(Number);
  return network === undefined || high === undefined || low === undefined || network < FIRST_NETWORK
    ? undefined
    : (network - FIRST_NETWORK) * PER_NETWORK + high * 256 + low;
}

export function identityOf(secret: string, node: number): Identity {
  return {
    hostname: `sim-${node}`,
    address: addressOf(node),
    hostKey: sshKeyLine('ecdsa-sha2-nistp256', 'nistp256', keyPairOf(secret, node).point),
    credential: `orion_node_${sha256(`credential ${secret} ${node}`)}`,
  };
}

/** Of this kind because Node derives its public key from 32 bytes in a fraction of the time that ed25519 takes. */
function keyPairOf(secret: string, node: number): { scalar: Buffer; point: Buffer } {
  const curve = createECDH('prime256v1');
  const scalar = createHash('sha256').update(`host key ${secret} ${node}`).digest();
  curve.setPrivateKey(scalar);
  return { scalar, point: curve.getPublicKey() };
}

/** The node's host key as ssh2 reads it (RFC 5915: version, key, curve, public key). */
export function privateKeyOf(secret: string, node: number): string {
  const { scalar, point } = keyPairOf(secret, node);
  const der = Buffer.concat([
    Buffer.from('30770201010420', 'hex'),
    scalar,
    Buffer.from('a00a06082a8648ce3d030107a144034200', 'hex'),
    point,
  ]);
  return `-----BEGIN EC PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END EC PRIVATE KEY-----\n`;
}

/** The node's proof of its host key, as `ssh-keygen -Y sign` would make it. */
export function signAsSimulated(secret: string, node: number, message: Buffer): string {
  const key = privateKeyOf(secret, node);
  return sshSignature(identityOf(secret, node).hostKey, message, (signed) => {
    const both = sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' });
    return Buffer.concat([both.subarray(0, 32), both.subarray(32)].map((number) => sshField(Buffer.concat([Buffer.alloc(1), number]))));
  });
}
