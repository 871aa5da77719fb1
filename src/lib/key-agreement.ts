import { diffieHellman, generateKeyPairSync, hkdfSync } from 'node:crypto';
import { rawPublicKey, x25519Public } from './raw-keys';

/** Data that both sides have after they exchanged public keys. base64url. */
interface Agreed {
  challenge: string;
  agentKey: string;
  serverKey: string;
}

/** One side of the key agreement between an agent and the control plane. It computes the node's credential, which is never sent. */
export interface Agreement {
  publicKey: string;
  /** Returns the node's credential. Throws when `theirKey` is no public key. */
  credential(theirKey: string, agreed: Agreed): string;
}

/** Creates one side with a new X25519 key pair. The pair is used once, so no key that is lost later reveals the credential. */
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
