export type Role = 'user' | 'admin';

export interface User {
  id: number;
  username: string;
  role: Role;
  maxLeases: number;
  maxLeaseHours: number;
  disabledAt: Date | null;
  /** Grows when the account's keys change, or whether they open anything. */
  accessVersion: number;
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
  /** The token that was shown. */
  token: TokenOfUser;
}

/** The claims of a token whose signature was verified. */
export interface TokenOfUser {
  userId: number;
  tokenId: string;
  /** With milliseconds, so that tokens from just before and just after a change of the user differ. */
  issuedAtSeconds: number;
  expiresAtSeconds: number;
}

/** For events: who did it. */
export const actorOf = (user: Pick<User, 'id' | 'role'>): string => `${user.role}:${user.id}`;
