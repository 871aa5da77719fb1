import { randomSecret, sha256 } from '../lib/ids';
import type { User } from '../modules/accounts';
import { type Decided, insertJoinToken, type JoinToken } from '../modules/nodes';
import type { FlowContext } from './context';

export interface JoinTokenOrder extends Decided {
  name: string;
  maxUses: number;
  ttlSeconds: number;
  /** Null: whoever holds the database's password, beside the API. */
  by: User | null;
}

/** Issues a join token. `secret` is shown this once; only its hash is stored. */
export async function issueJoinToken(ctx: Pick<FlowContext, 'db'>, { by, ...order }: JoinTokenOrder): Promise<{ token: JoinToken; secret: string }> {
  const secret = randomSecret('orion_join_');
  const token = await insertJoinToken(ctx.db, { ...order, tokenHash: sha256(secret), createdBy: by?.id ?? null });
  return { token, secret };
}
