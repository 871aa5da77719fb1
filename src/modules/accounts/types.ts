export type Role = 'user' | 'admin';

export interface User {
  id: number;
  username: string;
  role: Role;
  maxLeases: number;
  maxLeaseHours: number;
  disabledAt: Date | null;
  createdAt: Date;
}

export interface UserKey {
  id: number;
  name: string;
  publicKey: string;
  fingerprint: string;
  createdAt: Date;
}

/** Who is asking, once authenticated. */
export interface Principal {
  user: User;
  /** Id and end of the token that was shown, for logout. */
  tokenId: string;
  tokenExpiresAtSeconds: number;
}

/** For events: who did it. */
export const actorOf = (user: Pick<User, 'id' | 'role'>): string => `${user.role}:${user.id}`;
