import type * as contract from '../../contract';
import type { OneTimeCode } from '../../flows/people/create-user';
import type { Session, User, UserKey } from '../../modules/accounts';

export const presentUser = (user: User): contract.User => ({
  id: user.id,
  username: user.username,
  role: user.role,
  max_leases: user.maxLeases,
  max_lease_hours: user.maxLeaseHours,
  disabled: user.disabledAt !== null,
  must_change_password: user.mustChangePassword,
  deleted_at: user.deletedAt?.toISOString() ?? null,
  created_at: user.createdAt.toISOString(),
});

export const presentKey = (key: UserKey): contract.Key => ({
  id: key.id,
  name: key.name,
  public_key: key.publicKey,
  fingerprint: key.fingerprint,
  created_at: key.createdAt.toISOString(),
});

export const presentCode = ({ code, expiresAt }: OneTimeCode): contract.OneTimeCode => ({ code, expires_at: expiresAt.toISOString() });

/** @param current id of the token of the request */
export const presentSession = (session: Session, current: string): contract.OpenSession => ({
  id: session.tokenId,
  created_at: session.createdAt.toISOString(),
  last_used_at: session.lastUsedAt.toISOString(),
  expires_at: session.expiresAt.toISOString(),
  address: session.address,
  client: session.client,
  current: session.tokenId === current,
});
