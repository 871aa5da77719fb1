import { controlFingerprint } from '../../lib/control-key';
import { randomSecret, sha256 } from '../../lib/ids';
import { joinPublicKey } from '../../lib/join-token';
import type { User } from '../../modules/accounts';
import { type Decided, insertJoinToken, type JoinToken } from '../../modules/nodes';
import type { FlowContext } from '../support/context';

export interface JoinTokenOrder extends Decided {
  name: string;
  maxUses: number;
  ttlSeconds: number;
  /** Null: a person with the database password issues the token, without the API. */
  by: User | null;
  /** Key of the control plane. The token contains its fingerprint. */
  controlKey: string;
}

/**
 * Issues a join token and returns its `secret`, which is shown only this once. The database stores a hash of the secret, and a public key
 * that verifies proofs of it.
 */
export async function issueJoinToken(ctx: Pick<FlowContext, 'db'>, { by, controlKey, ...order }: JoinTokenOrder): Promise<{ token: JoinToken; secret: string }> {
  const secret = randomSecret('orion_join_');
  const token = await insertJoinToken(ctx.db, { ...order, tokenHash: sha256(secret), publicKey: joinPublicKey(secret), createdBy: by?.id ?? null });
  return { token, secret: `${secret}_${controlFingerprint(controlKey)}` };
}
