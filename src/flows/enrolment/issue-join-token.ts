import { transaction } from '../../db/transaction';
import { controlFingerprint } from '../../lib/control-key';
import { randomSecret, sha256 } from '../../lib/ids';
import { joinPublicKey } from '../../lib/join-token';
import { actorOf, type User } from '../../modules/accounts';
import { OPERATOR, recordEvent } from '../../modules/audit';
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
export async function issueJoinToken(
  ctx: Pick<FlowContext, 'db'>,
  { by, controlKey, ...order }: JoinTokenOrder,
): Promise<{ token: JoinToken; secret: string }> {
  const secret = randomSecret('orion_join_');
  const token = await transaction(ctx.db, async (tx) => {
    const secrets = { tokenHash: sha256(secret), publicKey: joinPublicKey(secret) };
    const issued = await insertJoinToken(tx, { ...order, ...secrets, createdBy: by?.id ?? null });
    const { id, name, maxUses, expiresAt } = issued;
    const data = { join_token_id: id, name, max_uses: maxUses, expires_at: expiresAt.toISOString() };
    await recordEvent(tx, { type: 'token.issued', actor: by ? actorOf(by) : OPERATOR, data });
    return issued;
  });
  return { token, secret: `${secret}_${controlFingerprint(controlKey)}` };
}
