import { diffieHellman, generateKeyPairSync, hkdfSync } from 'node:crypto';
import { rawPublicKey, x25519Public } from './raw-keys';

/** What both sides have of an agreement once their public keys were exchanged. base64url. */
interface Agreed {
  challenge: string;
  agentKey: string;
  serverKey: string;
}

/** One side of the agreement by which an agent and a control plane make the node's credential: it is on no wire. */
export interface Agreement {
  publicKey: string;
  /** The node's credential. Throws for what is no public key. */
  credential(theirKey: string, agreed: Agreed): string;
}

/** With a key pair that is used this once (X25519), so that no key that is lost later tells the credential. */
export function createAgreement(): Agreement {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  return {
    publicKey: rawPublicKey(publicKey).toString('base64url'),
    credential: (theirKey, { challenge, agentKey, serverKey }) => {
      const shared = diffieHellman({ privateKey, publicKey: x25519Public(Buffer.from(theirKey, 'base64url')) });
      const secret = hkdfSync('sha256', shared, challenge, `orion node credential\n${agentKey}\n${serverKey}`, 32);
      return `orion_node_${Buffer.from(secret).toString('base64url')}`;
    },
  };
}
