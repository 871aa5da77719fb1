import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { sha256 } from '../../src/lib/ids';
import { sshKeyLine } from '../support/keys';

/** What a simulated node is known by. It follows from the fleet's secret and the node's number, so that no process has to keep or pass on 100,000 keys. */
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

export const addressOf = (node: number): string => `127.${FIRST_NETWORK + Math.floor(node / PER_NETWORK)}.${Math.floor(node / 256) % 256}.${node % 256}`;

/** The node at this address; undefined when it is none of a fleet's. */
export function nodeAt(address: string): number | undefined {
  const [, network, high, low] = (/^(?:::ffff:)?127\.(\d+)\.(\d+)\.(\d+)$/.exec(address) ?? []).map(Number);
  return network === undefined || high === undefined || low === undefined || network < FIRST_NETWORK ? undefined : (network - FIRST_NETWORK) * PER_NETWORK + high * 256 + low;
}

export function identityOf(secret: string, node: number): Identity {
  return {
    hostname: `sim-${node}`,
    address: addressOf(node),
    hostKey: sshKeyLine('ssh-ed25519', keyPairOf(secret, node).publicKey),
    credential: `orion_node_${sha256(`credential ${secret} ${node}`)}`,
  };
}

/** DER of an ed25519 private key up to its 32 bytes (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function keyPairOf(secret: string, node: number): { seed: Buffer; publicKey: Buffer } {
  const seed = createHash('sha256').update(`host key ${secret} ${node}`).digest();
  const key = createPublicKey(createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' }));
  return { seed, publicKey: key.export({ format: 'der', type: 'spki' }).subarray(-32) };
}

/** The node's host key as ssh2 reads it: OpenSSH's own format (PROTOCOL.key), not encrypted. */
export function privateKeyOf(secret: string, node: number): string {
  const { seed, publicKey } = keyPairOf(secret, node);
  const number = (value: number): Buffer => Buffer.from([0, 0, 0, value]);
  const field = (bytes: Buffer | string): Buffer => Buffer.concat([number(bytes.length), Buffer.from(bytes)]);
  const type = field('ssh-ed25519');
  const secretPart = Buffer.concat([number(1), number(1), type, field(publicKey), field(Buffer.concat([seed, publicKey])), field('')]);
  const padding = Buffer.from(Array.from({ length: (8 - (secretPart.length % 8)) % 8 }, (_, at) => at + 1));
  const publicPart = field(Buffer.concat([type, field(publicKey)]));
  const blob = Buffer.concat([Buffer.from('openssh-key-v1\0'), field('none'), field('none'), field(''), number(1), publicPart, field(Buffer.concat([secretPart, padding]))]);
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${blob.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}
