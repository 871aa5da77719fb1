import type * as contract from '../../contract';
import type { User, UserKey } from '../../modules/accounts';

export const presentUser = (user: User): contract.User => ({
  id: user.id,
  username: user.username,
  role: user.role,
  max_leases: user.maxLeases,
  max_lease_hours: user.maxLeaseHours,
  disabled: user.disabledAt !== null,
  created_at: user.createdAt.toISOString(),
});

export const presentKey = (key: UserKey): contract.Key => ({
  id: key.id,
  name: key.name,
  public_key: key.publicKey,
  fingerprint: key.fingerprint,
  created_at: key.createdAt.toISOString(),
});
