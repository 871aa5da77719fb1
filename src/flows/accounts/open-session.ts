import { randomUUID } from 'node:crypto';
import type { Transaction } from '../../db/transaction';
import { currentOrigin } from '../../lib/origin';
import { findTokenTime, findUser, issueAccessToken, noteSessions, type TokenSettings, type User } from '../../modules/accounts';

export interface OpenedSession {
  user: User;
  token: string;
  tokenId: string;
}

/** Issues an access token for a user that the caller has locked, and records its session. `client`: the `User-Agent` of the caller. */
export async function openSession(
  tx: Transaction,
  userId: number,
  { tokens, client }: { tokens: TokenSettings; client: string | undefined },
): Promise<OpenedSession> {
  const now = await findTokenTime(tx, userId);
  const user = await findUser(tx, userId);
  if (!user) {
    throw new Error('a user vanished');
  }
  const tokenId = randomUUID();
  const issuedAtSeconds = now.getTime() / 1000;
  const expiresAtSeconds = Math.floor(issuedAtSeconds + tokens.ttlSeconds);
  const address = currentOrigin()?.address;
  await noteSessions(tx, [{ tokenId, userId, issuedAtSeconds, expiresAtSeconds, address, client, ageSeconds: 0 }]);
  return { user, token: issueAccessToken(user, { ...tokens, tokenId }, now), tokenId };
}
